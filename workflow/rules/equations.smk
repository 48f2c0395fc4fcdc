# The paper's equations on runs, for the experiments that ask for them. Needs the runs' weights, which
# training leaves beside its results.
from vaebench.workflow.rules import collected_equations, equations_made_from

for each in JOB_RULES:
    if TIER.experiment(each.experiment).equations_plan is not None:

        rule:
            name:
                f"equations_{each.name}"
            input:
                metrics=[
                    LAYOUT.run(each.experiment, folder) / name
                    for folder in each.run_patterns
                    for name in ("metrics.json", "arrays.npz")
                ],
                data=for_job(
                    each, job_data(LAYOUT, each.experiment, "equations.json"), ancient
                ),
                config=ancient(PLAN.any_config),
            output:
                records=[
                    LAYOUT.equations(each.experiment, folder)
                    for folder in each.run_patterns
                ],
                arrays=[
                    LAYOUT.equations(each.experiment, folder).with_suffix(".npz")
                    for folder in each.run_patterns
                ],
            log:
                LAYOUT.log(f"equations/{each.experiment}/{each.pattern}"),
            wildcard_constraints:
                **each.constraints,
            retries: RETRIES
            conda:
                ENVIRONMENT
            threads: THREADS
            resources:
                **GPU,
                cpus_per_task=THREADS,
            params:
                experiment=each.experiment,
                made_from=equations_made_from(TIER.experiment(each.experiment)),
                label=untracked(each, lambda job: job.label),
                options=untracked(each, lambda job: job.options),
            message:
                "measuring the equations on {params.experiment} {params.label}"
            shell:
                "vaebench equations --tier {input.config:q} --experiment {params.experiment:q}"
                " {params.options} --threads {threads} 2>&1 | tee {log:q}"


if collected_equations(TIER, LAYOUT):

    rule equations_table:
        input:
            LAYOUT.runs,
            LAYOUT.equation_values,
            PLAN.config,
            paper_values=PAPER_VALUES,
        output:
            LAYOUT.equation_table("csv"),
            LAYOUT.equation_table("md"),
        log:
            LAYOUT.log("equation_table"),
        conda:
            ENVIRONMENT
        params:
            code=table_digest(),
            root=LAYOUT.root,
        message:
            "table of the equations"
        shell:
            "vaebench equations --tier {params.root:q}"
            " --paper-values {input.paper_values:q} > {log:q} 2>&1"

# What of runs depends on the input, for the experiments that ask for it. Needs the runs' weights, which
# training leaves beside its results.
from vaebench.workflow.rules import dependence_made_from

for each in JOB_RULES:
    if TIER.experiment(each.experiment).dependence_plan is not None:

        rule:
            name:
                f"dependence_{each.name}"
            input:
                metrics=[
                    LAYOUT.run(each.experiment, folder) / name
                    for folder in each.run_patterns
                    for name in ("metrics.json", "arrays.npz")
                ],
                data=for_job(
                    each, job_data(LAYOUT, each.experiment, "dependence.json"), ancient
                ),
                config=ancient(PLAN.any_config),
            output:
                records=[
                    LAYOUT.dependence(each.experiment, folder)
                    for folder in each.run_patterns
                ],
                arrays=[
                    LAYOUT.dependence(each.experiment, folder).with_suffix(".npz")
                    for folder in each.run_patterns
                ],
            log:
                LAYOUT.log(f"dependence/{each.experiment}/{each.pattern}"),
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
                made_from=dependence_made_from(TIER.experiment(each.experiment)),
                label=untracked(each, lambda job: job.label),
                options=untracked(each, lambda job: job.options),
            message:
                "measuring what depends on the input in {params.experiment} {params.label}"
            shell:
                "vaebench dependence --tier {input.config:q} --experiment {params.experiment:q}"
                " {params.options} --threads {threads} 2>&1 | tee {log:q}"

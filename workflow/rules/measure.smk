# What is measured on the weights of runs, for the experiments that ask for it: the evidence log p(x),
# the paper's equations, the aggregated posterior and what depends on the input. Training leaves the
# weights beside its results.
for measure in MEASURES.values():
    for each in JOB_RULES:
        if measure.name in TIER.experiment(each.experiment).plans:

            rule:
                name:
                    f"{measure.name}_{each.name}"
                input:
                    metrics=[
                        LAYOUT.run(each.experiment, folder) / name
                        for folder in each.run_patterns
                        for name in ("metrics.json", "arrays.npz")
                    ],
                    data=for_job(
                        each,
                        job_data(LAYOUT, each.experiment, measure.files[1]),
                        ancient,
                    ),
                    config=ancient(PLAN.any_config),
                output:
                    records=[
                        LAYOUT.run(each.experiment, folder) / measure.files[1]
                        for folder in each.run_patterns
                    ],
                    arrays=[
                        LAYOUT.run(each.experiment, folder) / measure.files[0]
                        for folder in each.run_patterns
                    ],
                log:
                    LAYOUT.log(f"{measure.name}/{each.experiment}/{each.pattern}"),
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
                    measure=measure.name,
                    experiment=each.experiment,
                    made_from=measured_from(
                        TIER.experiment(each.experiment), measure.name
                    ),
                    label=untracked(each, lambda job: job.label),
                    options=untracked(each, lambda job: job.options),
                message:
                    "measuring {params.experiment} {params.label}: {params.measure}"
                shell:
                    # Evaluated when the job runs: by then the loop has left `measure` at its last value.
                    "vaebench {params.measure} --tier {input.config:q}"
                    " --experiment {params.experiment:q}"
                    " {params.options} --threads {threads} 2>&1 | tee {log:q}"

# A rule for the jobs whose paths differ in wildcards alone; a job trains some runs of an experiment.
for each in [] if ONLY_FINISHED else JOB_RULES:

    rule:
        name:
            f"train_{each.name}"
        input:
            # Ancient, both: whether runs are current is told by what made them, below, which knows
            # the data, and not by the date of a copy of the data or of a file that names all runs.
            data=for_job(
                each, job_data(LAYOUT, each.experiment, "metrics.json"), ancient
            ),
            config=ancient(PLAN.any_config),
        output:
            metrics=[
                LAYOUT.run(each.experiment, folder) / "metrics.json"
                for folder in each.run_patterns
            ],
            arrays=[
                LAYOUT.run(each.experiment, folder) / "arrays.npz"
                for folder in each.run_patterns
            ],
        log:
            LAYOUT.log(f"train/{each.experiment}/{each.pattern}"),
        benchmark:
            LAYOUT.benchmark(f"train/{each.experiment}/{each.pattern}")
        wildcard_constraints:
            **each.constraints,
        retries: RETRIES
        conda:
            ENVIRONMENT
        threads: THREADS
        resources:
            **GPU,
            # The threads above are no more than --cores, which counts the cores of this machine.
            cpus_per_task=THREADS,
            attempt=lambda wildcards, attempt: attempt,
        params:
            experiment=each.experiment,
            made_from=for_job(each, job_made_from(TIER.experiment(each.experiment))),
            label=untracked(each, lambda job: job.label),
            options=untracked(each, lambda job: job.options),
        message:
            "training {params.experiment} {params.label}"
        # A signal goes to all processes of a job: shell and tee wait until training has saved.
        # Status 3 says that a run diverged, which is a result as others are.
        shell:
            "trap : INT TERM HUP; "
            "(trap : INT TERM HUP; VAEBENCH_ATTEMPT={resources.attempt} "
            "vaebench run --tier {input.config:q} --experiment {params.experiment:q} "
            "{params.options} --threads {threads} || (end=$?; test $end = 3 || exit $end)) "
            "2>&1 | (trap '' INT TERM HUP; tee {log:q})"

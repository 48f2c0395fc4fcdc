# Sample quality, for the experiments that ask for it: a classifier a dataset, and from its features
# the measures of each run. Needs the runs' weights, which training leaves beside its results.
from vaebench.runs.sources import lasting_quality_digest
from vaebench.workflow.rules import needed_data


rule classifier:
    input:
        data=lambda wildcards: ancient(
            needed_data(wildcards.dataset, [LAYOUT.classifier(wildcards.dataset)])
        ),
        config=ancient(PLAN.any_config),
    output:
        LAYOUT.classifier("{dataset}"),
        LAYOUT.classifier("{dataset}").with_name("classifier.safetensors"),
    log:
        LAYOUT.log("classifier/{dataset}"),
    wildcard_constraints:
        dataset="|".join(datasets(TIER)),
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **GPU,
        cpus_per_task=THREADS,
    params:
        code=lasting_quality_digest(),
        data=lambda wildcards: dataset_digest(wildcards.dataset),
    message:
        "training the classifier of {wildcards.dataset}"
    shell:
        "vaebench classifier {wildcards.dataset:q} --tier {input.config:q} --threads {threads}"
        " 2>&1 | tee {log:q}"


for each in JOB_RULES:
    if TIER.experiment(each.experiment).sample_quality:

        rule:
            name:
                f"evaluate_{each.name}"
            input:
                metrics=[
                    LAYOUT.run(each.experiment, folder) / name
                    for folder in each.run_patterns
                    for name in ("metrics.json", "arrays.npz")
                ],
                data=for_job(
                    each, job_data(LAYOUT, each.experiment, "evaluation.json"), ancient
                ),
                classifier=for_job(each, lambda job: job_classifier(LAYOUT, job)),
                config=ancient(PLAN.any_config),
            output:
                [
                    LAYOUT.evaluation(each.experiment, folder)
                    for folder in each.run_patterns
                ],
            log:
                LAYOUT.log(f"evaluate/{each.experiment}/{each.pattern}"),
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
                code=lasting_quality_digest(),
                label=untracked(each, lambda job: job.label),
                options=untracked(each, lambda job: job.options),
            message:
                "measuring samples of {params.experiment} {params.label}"
            shell:
                "vaebench evaluate --tier {input.config:q} --experiment {params.experiment:q}"
                " {params.options} --threads {threads} 2>&1 | tee {log:q}"

# Sample quality, for the experiments that ask for it: a classifier a dataset, and from its features
# the measures of each run. Needs the runs' weights, which training leaves beside its results.
from vaebench.sources import quality_digest


rule classifier:
    input:
        data=ancient(data_manifest("{dataset}")),
        config=ancient(LAYOUT.config),
    output:
        LAYOUT.classifier("{dataset}"),
        LAYOUT.classifier("{dataset}").with_name("classifier.safetensors"),
    log:
        LAYOUT.log("classifier/{dataset}"),
    wildcard_constraints:
        dataset="|".join(datasets(TIER)),
    conda:
        ENVIRONMENT
    threads: 1 if ON_GPU else TIER.execution.threads
    resources:
        gpu=int(ON_GPU),
    params:
        code=quality_digest(),
        data=lambda wildcards: dataset_digest(wildcards.dataset),
    message:
        "training the classifier of {wildcards.dataset}"
    shell:
        "vaebench classifier {wildcards.dataset:q} --tier {input.config:q} --threads {threads}"
        " 2>&1 | tee {log:q}"


for part in [part for experiment in TIER.experiments for part in parts(experiment)]:
    if TIER.experiment(part.experiment).sample_quality:

        rule:
            name:
                f"evaluate_{part.name}"
            input:
                metrics=[
                    LAYOUT.run(part.experiment, folder) / name
                    for folder in part.run_patterns
                    for name in ("metrics.json", "arrays.npz")
                ],
                data=for_cell(part, cell_data, ancient),
                classifier=for_cell(part, lambda cell: cell_classifier(LAYOUT, cell)),
                config=ancient(LAYOUT.config),
            output:
                [
                    LAYOUT.evaluation(part.experiment, folder)
                    for folder in part.run_patterns
                ],
            log:
                LAYOUT.log(f"evaluate/{part.experiment}/{part.pattern}"),
            wildcard_constraints:
                **part.constraints,
            conda:
                ENVIRONMENT
            threads: 1 if ON_GPU else TIER.execution.threads
            resources:
                gpu=int(ON_GPU),
            params:
                experiment=part.experiment,
                cell=for_cell(part, cell_folder),
                code=quality_digest(),
            message:
                "measuring samples of {params.experiment} {params.cell}"
            shell:
                "vaebench evaluate --tier {input.config:q} --experiment {params.experiment:q}"
                " --cell {params.cell:q} --threads {threads} 2>&1 | tee {log:q}"

# The gate: every run is checked against settings, sources and data before anything shows it.


rule collect:
    input:
        config=LAYOUT.config,
        hashes=LAYOUT.hashes,
        runs=[
            file
            for experiment in TIER.experiments
            for file in run_files(LAYOUT, experiment)
        ],
        classifiers=[LAYOUT.classifier(dataset) for dataset in measured_datasets(TIER)],
    output:
        LAYOUT.runs,
        LAYOUT.history,
    log:
        LAYOUT.log("collect"),
    retries: 0  # unlike training, it has nothing to go on from
    conda:
        ENVIRONMENT
    params:
        code=collect_digest(),
    message:
        "checking and collecting all runs"
    shell:
        "vaebench collect --tier {input.config:q} > {log:q} 2>&1"

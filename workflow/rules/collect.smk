# The gate: every run is checked against settings, sources and data before anything shows it.


rule collect:
    input:
        config=PLAN.config,
        hashes=PLAN.hashes,
        runs=run_files(LAYOUT, RUNS),
        classifiers=[LAYOUT.classifier(dataset) for dataset in measured_datasets(RUNS)],
    output:
        LAYOUT.runs,
        LAYOUT.history,
        collected_equations(TIER, LAYOUT),
    log:
        LAYOUT.log("collect"),
    conda:
        ENVIRONMENT
    resources:
        **SMALL,
    params:
        code=collect_digest(),
        runs=len(RUNS),
        which="--finished-only" if ONLY_FINISHED else "",
    message:
        "checking and collecting {params.runs} runs"
    shell:
        "vaebench collect --tier {input.config:q} {params.which} > {log:q} 2>&1"

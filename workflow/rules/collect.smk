# The gate: every run is checked against settings, sources and data before anything shows it.


rule collect:
    input:
        config=LAYOUT.config,
        hashes=LAYOUT.hashes,
        runs=[
            LAYOUT.run(experiment.name, folder) / name
            for experiment in TIER.experiments
            for folder in run_folders(experiment)
            for name in ("metrics.json", "arrays.npz")
        ],
    output:
        LAYOUT.runs,
        LAYOUT.history,
    log:
        LAYOUT.log("collect"),
    conda:
        ENVIRONMENT
    params:
        code=modules_digest("collect.py", "records.py"),
    shell:
        "vaebench collect --tier {input.config:q} > {log:q} 2>&1"

# The tier in a few numbers, for `dvc metrics` and `dvc plots`.


rule summary:
    input:
        LAYOUT.runs,
        LAYOUT.history,
        LAYOUT.config,
        LAYOUT.claims("json"),
    output:
        LAYOUT.summary,
        LAYOUT.bounds,
    log:
        LAYOUT.log("summary"),
    retries: 0  # unlike training, it has nothing to go on from
    conda:
        ENVIRONMENT
    params:
        code=summary_digest(),
        root=LAYOUT.root,
    message:
        "summing up"
    shell:
        "vaebench summary --results {params.root:q} > {log:q} 2>&1"

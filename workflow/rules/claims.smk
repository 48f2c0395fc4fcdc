# The claim ledger: each number and claim of the paper, judged by the collected runs.


rule claims:
    input:
        LAYOUT.runs,
        LAYOUT.history,
        PLAN.config,
        collected_equations(TIER, LAYOUT),
        paper_values=PAPER_VALUES,
    output:
        LAYOUT.claims("json"),
        LAYOUT.claims("md"),
    log:
        LAYOUT.log("claims"),
    conda:
        ENVIRONMENT
    params:
        code=claims_digest(),
        root=LAYOUT.root,
    message:
        "judging the claims"
    shell:
        "vaebench claims --tier {params.root:q}"
        " --paper-values {input.paper_values:q} > {log:q} 2>&1"

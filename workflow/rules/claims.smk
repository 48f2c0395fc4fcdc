# The claim ledger: each number and claim of the paper, judged by the collected runs.


rule claims:
    input:
        LAYOUT.runs,
        LAYOUT.history,
        LAYOUT.config,
        paper_values=beside_snakefile("config/paper_values.yaml", workflow.basedir),
    output:
        LAYOUT.claims("json"),
        report(
            LAYOUT.claims("md"),
            caption="../report/claims.rst",
            category="Claims",
        ),
    log:
        LAYOUT.log("claims"),
    retries: 0  # unlike training, it has nothing to go on from
    conda:
        ENVIRONMENT
    params:
        code=claims_digest(),
        root=LAYOUT.root,
    message:
        "judging the claims"
    shell:
        "vaebench claims --results {params.root:q}"
        " --paper-values {input.paper_values:q} > {log:q} 2>&1"

# Each experiment's table, with the paper's numbers beside ours.


rule table:
    input:
        LAYOUT.runs,
        LAYOUT.config,
        paper_values=beside_snakefile("config/paper_values.yaml", workflow.basedir),
    output:
        LAYOUT.table("{experiment}", "csv"),
        report(
            LAYOUT.table("{experiment}", "md"),
            caption="../report/table.rst",
            category="Tables",
        ),
    log:
        LAYOUT.log("tables/{experiment}"),
    wildcard_constraints:
        experiment="|".join(experiment.name for experiment in TIER.experiments),
    retries: 0  # unlike training, it has nothing to go on from
    conda:
        ENVIRONMENT
    params:
        code=table_digest(),
        root=LAYOUT.root,
    message:
        "table of {wildcards.experiment}"
    shell:
        "vaebench table {wildcards.experiment:q} --results {params.root:q}"
        " --paper-values {input.paper_values:q} > {log:q} 2>&1"

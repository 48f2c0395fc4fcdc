# Each experiment's table, with the paper's numbers beside ours.


rule table:
    input:
        LAYOUT.runs,
        PLAN.config,
        paper_values=PAPER_VALUES,
    output:
        LAYOUT.table("{experiment}", "csv"),
        LAYOUT.table("{experiment}", "md"),
    log:
        LAYOUT.log("tables/{experiment}"),
    wildcard_constraints:
        experiment="|".join(experiment.name for experiment in TIER.experiments),
    conda:
        ENVIRONMENT
    params:
        code=table_digest(),
        root=LAYOUT.root,
    message:
        "table of {wildcards.experiment}"
    shell:
        "vaebench table {wildcards.experiment:q} --tier {params.root:q}"
        " --paper-values {input.paper_values:q} > {log:q} 2>&1"

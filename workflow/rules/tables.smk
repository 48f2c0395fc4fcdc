# Each experiment's table, with the paper's numbers beside ours, and the table of the equations.


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


if collected_equations(TIER, LAYOUT):

    rule equations_table:
        input:
            LAYOUT.runs,
            LAYOUT.equation_values,
            PLAN.config,
            paper_values=PAPER_VALUES,
        output:
            LAYOUT.equation_table("csv"),
            LAYOUT.equation_table("md"),
        log:
            LAYOUT.log("equation_table"),
        conda:
            ENVIRONMENT
        params:
            code=table_digest(),
            root=LAYOUT.root,
        message:
            "table of the equations"
        shell:
            "vaebench equations --tier {params.root:q}"
            " --paper-values {input.paper_values:q} > {log:q} 2>&1"

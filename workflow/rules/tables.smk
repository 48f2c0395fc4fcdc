# Each experiment's table, with the paper's numbers beside ours, and the table of the equations. One job
# makes the tables of all experiments: they have the same inputs and code, and most of one table's time
# would be its start.
EXPERIMENTS = [experiment.name for experiment in TIER.experiments]


rule tables:
    input:
        LAYOUT.runs,
        PLAN.config,
        paper_values=PAPER_VALUES,
    output:
        [
            LAYOUT.table(name, extension)
            for name in EXPERIMENTS
            for extension in TABLE_FORMATS
        ],
    log:
        LAYOUT.log("tables"),
    conda:
        ENVIRONMENT
    params:
        code=table_digest(),
        experiments=EXPERIMENTS,
        root=LAYOUT.root,
    message:
        "tables of {params.experiments}"
    shell:
        "vaebench table {params.experiments:q} --tier {params.root:q}"
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

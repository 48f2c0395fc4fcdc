# The page that shows everything the tier made.
from vaebench.workflow.rules import equation_tables


rule report:
    input:
        LAYOUT.runs,
        PLAN.config,
        [
            LAYOUT.figure(name, extension)
            for name in TIER.figures
            for extension in FIGURE_FORMATS
        ],
        [LAYOUT.caption(name) for name in TIER.figures],
        [
            LAYOUT.table(experiment.name, extension)
            for experiment in TIER.experiments
            for extension in TABLE_FORMATS
        ],
        equation_tables(TIER, LAYOUT),
        [LAYOUT.claims(extension) for extension in CLAIM_FORMATS],
    output:
        LAYOUT.report,
    log:
        LAYOUT.log("report"),
    conda:
        ENVIRONMENT
    params:
        code=report_digest(),
        root=LAYOUT.root,
    message:
        "writing the page"
    shell:
        "vaebench report --tier {params.root:q} > {log:q} 2>&1"

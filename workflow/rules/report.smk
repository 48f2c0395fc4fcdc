# The page that shows everything the tier made, with the codes of its runs beside it.
from vaebench.workflow.rules import equation_tables


rule report:
    input:
        LAYOUT.runs,
        LAYOUT.history,
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
        report(
            LAYOUT.report,
            caption="../report/page.rst",
            category="Page",
            labels={"page": "answer, claims, curves, codes, figures and runs"},
        ),
        # Beside the page, which loads the codes of a run when it is asked for them.
        [LAYOUT.run_codes(experiment.name, run.folder) for experiment, run in RUNS],
    log:
        LAYOUT.log("report"),
    conda:
        ENVIRONMENT
    resources:
        **SMALL,
    params:
        code=report_digest(),
        root=LAYOUT.root,
    message:
        "writing the page"
    shell:
        "vaebench report --tier {params.root:q} > {log:q} 2>&1"

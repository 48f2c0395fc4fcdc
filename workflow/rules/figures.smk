# Each figure from the collected runs alone.
from vaebench.experiment.figures import FIGURES
from vaebench.workflow.rules import figure_labels, shown_caption


rule figure:
    input:
        LAYOUT.runs,
        LAYOUT.history,
        PLAN.config,
        collected_equations(TIER, LAYOUT),
    output:
        report(
            LAYOUT.figure("{figure}", "svg"),
            caption="../report/figure.rst",
            category="Figures",
            labels=figure_labels,
        ),
        LAYOUT.figure("{figure}", "png"),
        LAYOUT.caption("{figure}"),
    log:
        LAYOUT.log("figures/{figure}"),
    wildcard_constraints:
        figure="|".join(TIER.figures),
    conda:
        ENVIRONMENT
    params:
        title=lambda wildcards: FIGURES[wildcards.figure].title,
        needs=lambda wildcards: str(FIGURES[wildcards.figure]),
        code=lambda wildcards: figure_digest(wildcards.figure),
        root=LAYOUT.root,
        # For `snakemake --report`, which asks once the figure is drawn.
        caption=shown_caption,
    message:
        "drawing {wildcards.figure}"
    shell:
        "vaebench draw {wildcards.figure:q} --tier {params.root:q} > {log:q} 2>&1"

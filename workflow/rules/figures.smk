# Figures from the collected runs alone. A job draws several: to start and to read the runs takes longer
# than most figures do.
from vaebench.experiment.figures import FIGURES
from vaebench.workflow.rules import figure_jobs, figure_label, shown_captions

for number, names in enumerate(figure_jobs(TIER.figures), start=1):

    rule:
        name:
            "figure" if number == 1 else f"figure__{number}"
        input:
            LAYOUT.runs,
            LAYOUT.history,
            PLAN.config,
            collected_equations(TIER, LAYOUT),
        output:
            # Snakemake reads a caption from a file that does not learn which output it is for: a
            # template for each place in a job.
            vectors=[
                report(
                    LAYOUT.figure(name, "svg"),
                    caption=f"../report/figure/{place}.rst",
                    category="Figures",
                    labels=figure_label(LAYOUT, name),
                )
                for place, name in enumerate(names)
            ],
            pixels=[LAYOUT.figure(name, "png") for name in names],
            captions=[LAYOUT.caption(name) for name in names],
        log:
            LAYOUT.log(f"figures/{names[0]}"),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            figures=names,
            needs=[f"{FIGURES[name].title}: {FIGURES[name]}" for name in names],
            code=[figure_digest(name) for name in names],
            root=LAYOUT.root,
            # For `snakemake --report`, which asks once the figures are drawn.
            captions=shown_captions,
        message:
            "drawing {params.figures}"
        shell:
            "vaebench draw {params.figures:q} --tier {params.root:q} > {log:q} 2>&1"

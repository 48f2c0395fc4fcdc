# Figures from the collected runs alone. A job draws several: most of one figure's time would be its
# start. An edit of a figure's module draws those of its job again.
from vaebench.experiment.figures import FIGURES
from vaebench.workflow.rules import figure_jobs

for job_name, names in figure_jobs(TIER.figures).items():

    rule:
        name:
            job_name
        input:
            LAYOUT.runs,
            LAYOUT.history,
            PLAN.config,
            collected_equations(TIER, LAYOUT),
        output:
            [
                LAYOUT.figure(name, extension)
                for name in names
                for extension in FIGURE_FORMATS
            ],
            [LAYOUT.caption(name) for name in names],
        log:
            LAYOUT.log(f"figures/{names[0]}"),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            figures=names,
            titles=[FIGURES[name].title for name in names],
            needs=[str(FIGURES[name]) for name in names],
            code=[figure_digest(name) for name in names],
            root=LAYOUT.root,
        message:
            "drawing {params.figures}"
        shell:
            "vaebench draw {params.figures:q} --tier {params.root:q} > {log:q} 2>&1"

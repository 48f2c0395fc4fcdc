# `snakemake` finds this file first. The workflow itself is in workflow/Snakefile.
include: "workflow/Snakefile"

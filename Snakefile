# The entry point that Snakemake finds first. The workflow is in workflow/Snakefile.
include: "workflow/Snakefile"


# Snakemake heeds `default_target` in the file that it was started with alone.
rule default:
    default_target: True
    input:
        rules.all.input,
    resources:
        **SMALL,
    message:
        "all is made"

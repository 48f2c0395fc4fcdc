# The way of the data, from raw files to figures:
#   data -> train -> evaluate -> collect -> figures, tables, claims -> report
# `snakemake --cores all` runs the paper's grid (config/paper.yaml); `--configfile FILE` another.
from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/manifest.smk"


rule all:
    default_target: True
    input:
        # Everything by name, so that whatever is missing is made again.
        rules.collect.input,
        rules.collect.output,
        rules.report.input,
        rules.report.output,
        rules.summary.output,
        rules.manifest.output,
    message:
        "all is made"


onsuccess:
    print(f"figures: {LAYOUT.figure('*', 'png')}")
    print(f"tables:  {LAYOUT.table('*', 'md')}")
    print(f"claims:  {LAYOUT.claims('md')}")
    print(f"to read: {LAYOUT.report}")

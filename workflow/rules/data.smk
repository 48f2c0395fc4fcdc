# Raw data, verified and prepared as uint8 arrays. The manifest stands for them in the workflow.
from vaebench.workflow.rules import data_manifest, data_options


rule data:
    output:
        data_manifest("{dataset}"),
    log:
        LAYOUT.log("data/{dataset}"),
    wildcard_constraints:
        dataset="|".join(datasets(TIER)),
    conda:
        ENVIRONMENT
    params:
        mirrors=data_options(TIER, LAYOUT),
    message:
        "preparing {wildcards.dataset}"
    shell:
        "vaebench data {wildcards.dataset:q} {params.mirrors:q} > {log:q} 2>&1"

# The digest of everything that the tier made, once it is made: what `vaebench verify` checks.


rule manifest:
    input:
        # Who collects again, since a run is newer, writes these anew: runs need no names here.
        rules.collect.output,
        rules.report.input,
        LAYOUT.report,
        paper_values=PAPER_VALUES,
    output:
        LAYOUT.manifest,
    log:
        LAYOUT.log("manifest"),
    conda:
        ENVIRONMENT
    resources:
        **SMALL,
    params:
        root=LAYOUT.root,
    message:
        "writing the manifest"
    shell:
        "vaebench manifest --tier {params.root:q}"
        " --paper-values {input.paper_values:q} > {log:q} 2>&1"

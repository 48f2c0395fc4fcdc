# The digest of everything that the tier made, once it is made: what `vaebench verify` checks.


rule manifest:
    input:
        rules.collect.input,
        rules.collect.output,
        rules.report.input,
        rules.report.output,
    output:
        LAYOUT.manifest,
    log:
        LAYOUT.log("manifest"),
    conda:
        ENVIRONMENT
    params:
        code=modules_digest("manifest.py"),
        root=LAYOUT.root,
    shell:
        "vaebench manifest --results {params.root:q} > {log:q} 2>&1"

# What all rules share: the tier, its paths, and the command line of the package.
from snakemake.exceptions import WorkflowError

from vaebench.config import dump_tier, load_tier
from vaebench.errors import UserError
from vaebench.layout import FIGURE_FORMATS, TABLE_FORMATS, Layout
from vaebench.sources import figure_digest, modules_digest
from vaebench.workflow import (
    cell_data,
    cell_folder,
    cell_identity,
    cell_pattern,
    constraints,
    datasets,
    for_cell,
    note_identities,
    put_own_commands_on_path,
    run_folders,
    run_patterns,
    tier_file,
)

try:
    TIER = load_tier(
        tier_file(workflow.overwrite_configfiles, workflow.config_settings.config)
    )
except UserError as error:
    raise WorkflowError(str(error))
LAYOUT = Layout.of(TIER.tier)
note_identities(TIER, LAYOUT)
ENVIRONMENT = "../envs/vaebench.yaml"

put_own_commands_on_path()


# A limit on `gpu` is one of this machine: on a cluster each job has its own.
resource_scopes:
    gpu="local",


localrules:
    all,
    config,
    collect,
    figure,
    table,
    report,


rule config:
    output:
        LAYOUT.config,
    log:
        LAYOUT.log("config"),
    conda:
        ENVIRONMENT
    params:
        resolved=dump_tier(TIER),
    shell:
        "printf '%s' {params.resolved:q} > {output:q} 2> {log:q}"

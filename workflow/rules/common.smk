# What all rules share: the tier, its paths, and the command line of the package.
import os
import sys
from pathlib import Path

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
    run_folders,
    run_patterns,
    tier_file,
)

try:
    TIER_FILE = tier_file(workflow.overwrite_configfiles, workflow.config_settings.config)
    TIER = load_tier(TIER_FILE)
except UserError as error:
    raise WorkflowError(str(error))
LAYOUT = Layout.of(TIER.tier)
note_identities(TIER, LAYOUT)
ENVIRONMENT = "../envs/vaebench.yaml"

# Jobs find `vaebench` beside the Python that runs snakemake, whether or not its environment is
# activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


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
    params:
        resolved=dump_tier(TIER),
        source=TIER_FILE,
    conda:
        ENVIRONMENT
    shell:
        "vaebench config --tier {params.source:q} --out {output:q} 2> {log:q}"

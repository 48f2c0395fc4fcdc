# What all rules share: the tier, its paths, and the command line of the package.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from vaebench.config import load_tier
from vaebench.errors import UserError
from vaebench.layout import CLAIM_FORMATS, FIGURE_FORMATS, TABLE_FORMATS, Layout
from vaebench.snakemake_lock import hold_folder
from vaebench.sources import (
    claims_digest,
    collect_digest,
    figure_digest,
    report_digest,
    summary_digest,
    table_digest,
)
from vaebench.training.device import expects_gpu
from vaebench.workflow import (
    beside_snakefile,
    cell_classifier,
    cell_data,
    cell_folder,
    cell_hashes,
    dataset_digest,
    datasets,
    for_cell,
    measured_datasets,
    note_plan,
    parts,
    put_own_commands_on_path,
    run_files,
    tier_file,
)

try:
    TIER = load_tier(
        tier_file(
            workflow.overwrite_configfiles,
            workflow.config_settings.config,
            Path(workflow.basedir),
        )
    )
    LAYOUT = Layout.of(TIER.tier)
    note_plan(TIER, LAYOUT)
except (UserError, OSError) as error:
    raise WorkflowError(str(error))
ENVIRONMENT = "../envs/vaebench.yaml"
ON_GPU = expects_gpu(TIER.execution.device)

put_own_commands_on_path()
if workflow.is_main_process:
    hold_folder(Path(".snakemake"))


# A limit on `gpu` is one of this machine: on a cluster each job has its own.
resource_scopes:
    gpu="local",


localrules:
    all,
    claims,
    collect,
    figure,
    manifest,
    table,
    report,
    summary,

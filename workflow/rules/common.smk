# What all rules share: the tier, its paths, and the command line of the package.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from vaebench.experiment.tier import load_tier
from vaebench.errors import UserError
from vaebench.runs.finished import FINISHED_ONLY, finished_jobs, finished_only, finished_runs
from vaebench.experiment.jobs import job_rules
from vaebench.paths import CLAIM_FORMATS, FIGURE_FORMATS, TABLE_FORMATS, Layout
from vaebench.progress import show_log_lines
from vaebench.workflow.lock import hold_folder
from vaebench.provenance.stages import (
    claims_digest,
    collect_digest,
    figure_digest,
    report_digest,
    summary_digest,
    table_digest,
)
from vaebench.execution.device import expects_gpu
from vaebench.workflow.rules import (
    beside_snakefile,
    dataset_digest,
    datasets,
    for_job,
    gpu_of_a_job,
    job_classifier,
    job_data,
    job_made_from,
    measured_datasets,
    note_plan,
    put_own_commands_on_path,
    run_files,
    runs_per_job,
    tier_file,
    untracked,
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
    if workflow.is_main_process:
        note_plan(TIER, LAYOUT)
    RUNS_PER_JOB = runs_per_job(workflow.resource_settings.default_resources)
except (UserError, OSError) as error:
    raise WorkflowError(str(error))
ENVIRONMENT = "../envs/vaebench.yaml"
ON_GPU = expects_gpu(TIER.execution.device)
GPU = gpu_of_a_job(workflow.resource_settings.default_resources, ON_GPU)
THREADS = 1 if ON_GPU else TIER.execution.threads
ONLY_FINISHED = finished_only()
RUNS = finished_runs(TIER, LAYOUT) if ONLY_FINISHED else TIER.runs
if not RUNS:
    raise WorkflowError(
        f"{FINISHED_ONLY} asks for what is trained of tier '{TIER.tier}', which is nothing yet"
    )
JOB_RULES = (
    finished_jobs(TIER, LAYOUT)
    if ONLY_FINISHED
    else [
        each
        for experiment in TIER.experiments
        for each in job_rules(experiment, RUNS_PER_JOB)
    ]
)

put_own_commands_on_path()
if workflow.is_main_process:
    show_log_lines()
    hold_folder(Path(".snakemake"))


# A limit on `gpu` is one of this machine: on a cluster each job has its own.
resource_scopes:
    gpu="local",


localrules:
    all,
    claims,
    collect,
    data,
    figure,
    manifest,
    table,
    report,
    summary,

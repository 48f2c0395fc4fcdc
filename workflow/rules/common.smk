# What all rules share: the tier, its paths, and what snakemake was started with.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from vaebench.experiment.owner import check_owner, claim_results
from vaebench.experiment.tier import load_tier
from vaebench.errors import UserError
from vaebench.runs.finished import (
    FINISHED_ONLY,
    finished_jobs,
    finished_only,
    finished_runs,
    fills_places,
)
from vaebench.experiment.jobs import job_rules
from vaebench.paths import (
    CLAIM_FORMATS,
    DATA,
    FIGURE_FORMATS,
    PAPER_VALUES,
    TABLE_FORMATS,
    Layout,
    chosen_store,
)
from vaebench.progress import log, show_log_lines
from vaebench.runs.measures import MEASURES
from vaebench.runs.places import fill_places, fillings
from vaebench.workflow.dates import end_future_dates
from vaebench.workflow.lock import hold_folder
from vaebench.provenance.stages import (
    claims_digest,
    collect_digest,
    figure_digest,
    report_digest,
    table_digest,
)
from vaebench.execution.device import expects_gpu
from vaebench.workflow.scheduling import drop_usual_limit
from vaebench.workflow.rules import (
    collected_equations,
    dataset_digest,
    datasets,
    environment_file,
    for_job,
    gpu_of_a_job,
    job_classifier,
    job_data,
    job_made_from,
    lost_codes,
    measured_datasets,
    measured_from,
    name_user,
    note_dry_plan,
    note_plan,
    plan_files,
    put_own_commands_on_path,
    run_files,
    tier_file,
    untracked,
    whole_number,
)

# Snakemake documents no way to read these four, and they are read here alone.
# The files of --configfile: `config` does not tell two files from one, and a tier is one file.
CONFIG_FILES = workflow.configfiles
# The profile's default-resources: Snakemake tells them to jobs, but how many runs a job trains
# decides which rules there are.
DEFAULTS = workflow.resource_settings.default_resources or {}
# Whether this snakemake plans: a job reads these files again, in a snakemake of its own. `onstart`
# is too late, since Snakemake has looked at the dates of files and taken its lock by then.
IS_PLANNING = workflow.is_main_process
# Whether it was started with --dry-run. `workflow.dryrun` is set only after these files are read.
IS_DRY_RUN = workflow.output_settings.dryrun

try:
    CONFIG = tier_file(CONFIG_FILES, config)
    TIER = load_tier(CONFIG)
    LAYOUT = Layout.of(TIER.tier)
    if IS_PLANNING:
        (check_owner if IS_DRY_RUN else claim_results)(TIER, CONFIG, LAYOUT)
    RUNS_PER_JOB = whole_number(DEFAULTS, "runs_per_job", least=1)
    # Of the rules that go on from what an earlier attempt saved. Where the profile says nothing,
    # --retries counts, as for all other rules. The snakemake of a job leaves retries to this one.
    RETRIES = whole_number(DEFAULTS, "retries", least=0) if IS_PLANNING else None
    if IS_PLANNING:
        show_log_lines()
    # Runs that are finished elsewhere, for places that no job will come to.
    KEPT = chosen_store()
    if IS_PLANNING and IS_DRY_RUN:
        PLAN = note_dry_plan(TIER, LAYOUT)
        if fills_places() and (EMPTY := fillings(TIER, LAYOUT, KEPT)):
            log.info(
                f"a run first fills {len(EMPTY)} places with runs that are finished "
                "elsewhere, and then collects and shows them, which is not planned here"
            )
    elif IS_PLANNING:
        end_future_dates([LAYOUT.root, DATA / "prepared", PAPER_VALUES])
        PLAN = note_plan(TIER, LAYOUT)
        hold_folder(Path(".snakemake"))
        if fills_places():
            fill_places(TIER, LAYOUT, KEPT)
    else:
        PLAN = plan_files(LAYOUT)
except (UserError, OSError) as error:
    raise WorkflowError(str(error))
name_user()
put_own_commands_on_path()
ENVIRONMENT = environment_file(
    workflow.current_basedir.get_path_or_uri(secret_free=True)
)
ON_GPU = expects_gpu(TIER.execution.device)
GPU = gpu_of_a_job(DEFAULTS, ON_GPU)
THREADS = 1 if ON_GPU else TIER.execution.threads
# Of local rules with files of every run as inputs. Else Snakemake sums the sizes of all of them, once
# for each of its default resources, which takes a quarter of the time that planning does.
SMALL = {"mem_mb": 1000, "disk_mb": 1000}
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


# A limit on `gpu` is one of this machine: on a cluster each job has its own.
resource_scopes:
    gpu="local",


localrules:
    all,
    claims,
    collect,
    data,
    manifest,
    tables,
    report,

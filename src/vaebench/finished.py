"""A tier before all of it has been run: which of its runs are finished, to show them as they are.

With VAEBENCH_FINISHED_ONLY=1 snakemake trains nothing. It measures, collects, draws and judges what
is trained, and what is not shows as *not run*.
"""

import os
from collections.abc import Sequence
from dataclasses import replace

from vaebench.config import Tier, load_tier
from vaebench.grid import Experiment, Run
from vaebench.jobs import JobRule
from vaebench.layout import Layout

FINISHED_ONLY = "VAEBENCH_FINISHED_ONLY"


def finished_only() -> bool:
    """Whether the environment asks for the finished runs alone."""
    return os.environ.get(FINISHED_ONLY, "") not in ("", "0")


def is_finished(layout: Layout, experiment: str, run: Run) -> bool:
    """Whether a run is trained; whether it is what the tier asks for is checked by `collect`."""
    folder = layout.run(experiment, run.folder)
    return all((folder / name).exists() for name in ("metrics.json", "arrays.npz"))


def finished_runs(tier: Tier, layout: Layout) -> list[tuple[Experiment, Run]]:
    """As `Tier.runs`, but for those that are not trained."""
    return [
        (experiment, run)
        for experiment, run in tier.runs
        if is_finished(layout, experiment.name, run)
    ]


def is_partial(layout: Layout) -> bool:
    """Whether a tier lacks runs that its config names."""
    tier = load_tier(layout.config)
    return len(finished_runs(tier, layout)) < len(tier.runs)


def finished_jobs(layout: Layout, rules: Sequence[JobRule]) -> list[JobRule]:
    """The rules with those of their jobs whose runs are all finished; none without a job."""
    of_rules = (
        replace(
            rule,
            jobs=tuple(
                job
                for job in rule.jobs
                if all(
                    is_finished(layout, rule.experiment, run) for p in job.packs for run in p.runs
                )
            ),
        )
        for rule in rules
    )
    return [rule for rule in of_rules if rule.jobs]

"""Records tiers with DVC and git, and restores them in another clone."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.extras import require
from vaebench.paths import CONFIGS, PAPER_VALUES, Layout
from vaebench.progress import log
from vaebench.sharing.adopt import adopt_runs, check_current, check_whole, mark_current
from vaebench.workflow.rules import datasets
from vaebench.yaml_text import read_yaml

PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
DATA = "data"
"""The stages of datasets. All others are of tiers."""


def push(tiers: Sequence[str]) -> list[Path]:
    """Record tiers with DVC, send them to the default remote and stage small text files for git.

    Args:
        tiers: the names of tiers. All complete tiers if empty.

    Returns:
        The files that are staged and remain to be committed.

    Raises:
        UserError: DVC is not installed, a tier is not whole or not in dvc.yaml, or DVC failed.
            Nothing is sent then.
    """
    require("workflow")
    known = _tiers()
    made = [tier for tier in known if Layout.of(tier).manifest.exists()]
    chosen = list(tiers) or made
    if not chosen:
        raise UserError("no tier is finished: run one first, such as `make smoke`")
    for tier in chosen:
        if tier not in known:
            raise UserError(f"{PIPELINE} has no tier '{tier}'; it has: {', '.join(known)}")
        check_whole(Layout.of(tier))
    stages = [*(stage for tier in chosen for stage in _stages_of(tier)), *_datasets(chosen)]
    dvc("commit", "--force", *stages)
    dvc("push", *stages)
    text = [LOCK, *(path for tier in chosen for path in _uncached(tier))]
    # git ignores results, so they have to be added with --force.
    _run(["git", "add", "--force", *map(str, text)])
    return text


def pull(tiers: Sequence[str], store: Path) -> list[Layout]:
    """Restore recorded tiers and adopt them, so that snakemake has nothing to do.

    Args:
        tiers: the names of tiers. All tiers that dvc.lock records if empty.
        store: the store of finished runs.

    Returns:
        The tiers.

    Raises:
        UserError: DVC is not installed or failed, or a tier is not recorded, is not whole, or was
            made by other sources or settings than this checkout has.
    """
    require("workflow")
    if not LOCK.exists():
        raise UserError(f"{LOCK} is missing: nothing was recorded here with `make push`")
    recorded = _stages(LOCK)
    there = [name.removeprefix("tier@") for name in recorded if name.startswith("tier@")]
    for tier in tiers:
        if tier not in there:
            raise UserError(f"{LOCK} does not record '{tier}'; it records: {', '.join(there)}")
    chosen = list(tiers) or there
    wanted = [stage for tier in chosen for stage in _stages_of(tier)]
    dvc("pull", *(stage for stage in wanted if stage in recorded))
    dvc("pull", *(stage for stage in _datasets(chosen) if stage in recorded))
    layouts = [Layout.of(tier) for tier in chosen]
    for layout in layouts:
        check_whole(layout)
        check_current(layout, CONFIGS)
    for layout in layouts:
        adopt_runs(layout, store)
        mark_current(layout, PAPER_VALUES)
    return layouts


def dvc(*arguments: str) -> None:
    """Run DVC, which shows its own progress.

    Raises:
        UserError: DVC failed. It has printed the reason.
    """
    _run([sys.executable, "-m", "dvc", *arguments])


def _run(command: list[str]) -> None:
    shown = " ".join(command).removeprefix(f"{sys.executable} -m ")
    log.info(f"$ {shown}")
    if subprocess.run(command).returncode != 0:
        raise UserError(f"`{shown}` failed, see above")


def _tiers() -> list[str]:
    """The tiers in dvc.yaml."""
    tiers: list[str] = _pipeline()["tier"]["foreach"]
    return tiers


def _stages_of(tier: str) -> list[str]:
    """The stages of a tier: what every tier has, and what only some have."""
    groups = {name: group for name, group in _pipeline().items() if name != DATA}
    return [f"{name}@{tier}" for name, group in groups.items() if tier in group["foreach"]]


def _datasets(tiers: Sequence[str]) -> list[str]:
    """The stages of the datasets that these tiers train on. Their results must exist here."""
    names = [name for tier in tiers for name in datasets(load_tier(Layout.of(tier).config))]
    return [f"{DATA}@{name}" for name in dict.fromkeys(names)]


def _uncached(tier: str) -> list[Path]:
    """The outputs of a tier that are kept in git and not in DVC's cache."""
    pipeline = _pipeline()
    stages = [pipeline[stage.partition("@")[0]]["do"] for stage in _stages_of(tier)]
    entries = [e for stage in stages for e in (*stage["outs"], *stage.get("metrics", []))]
    return [
        Path(name.replace("${item}", tier))
        for entry in entries
        for name, flags in entry.items()
        if flags.get("cache") is False
    ]


def _pipeline() -> dict[str, Any]:
    if not PIPELINE.exists():
        raise UserError(f"cannot find {PIPELINE}: call this in the project's folder")
    return _stages(PIPELINE)


def _stages(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    stages = values.get("stages") if isinstance(values, dict) else None
    if not isinstance(stages, dict):
        raise UserError(f"{path} lacks the key `stages`, which DVC writes: restore it from git")
    return stages

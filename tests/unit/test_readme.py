"""The README is short, and its table of times follows from the configs."""

import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import load_tier

README = (PROJECT / "README.md").read_text()
TRAINING_IMAGES = {
    **dict.fromkeys(("mnist", "binarized-mnist", "binarized-mnist-dynamic"), 60_000),
    "binarized-fashion-mnist-dynamic": 60_000,
    **{"digits": 1500, "faces": 512, "celeba": 162_770, "celeba-10k": 9000},
}
COLUMNS = 7


def tiers() -> dict[str, list[str]]:
    """The rows of the table of times, by the name of the tier."""
    section = README.split("## Time and cost")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if "|" in line]
    return {row[0].strip("`"): row for row in rows if row[0].startswith("`")}


def steps(run: Settings) -> int:
    images = TRAINING_IMAGES[run.dataset]
    kept = images - round(images * (run.held_out or 0))
    return run.steps or (run.epochs or 0) * (kept // run.batch_size)


def test_it_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_every_tier_is_in_the_table() -> None:
    configs = {path.stem for path in (PROJECT / "config").glob("*.yaml")}
    assert set(tiers()) == configs - {"paper_values", "questions_claims", "spectra"}
    assert all(len(row) == COLUMNS for row in tiers().values())


@pytest.mark.parametrize("name", tiers())
def test_runs_and_steps_are_those_of_the_config(name: str) -> None:
    tier = load_tier(Path(PROJECT / "config" / f"{name}.yaml"))
    runs = {run.settings.digest: run.settings for _, run in tier.runs}
    shown_runs, shown_steps = tiers()[name][2], tiers()[name][3]
    assert int(shown_runs) == len(runs)
    millions = float(re.sub(r" M$", "", shown_steps))
    digits = len(shown_steps.removesuffix(" M").partition(".")[2])
    assert millions == round(sum(map(steps, runs.values())) / 1e6, digits)

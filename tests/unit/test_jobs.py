"""Which runs one job trains: blocks in the order of the config, whatever their size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.jobs import Job, JobRule, chosen_blocks, job_rules
from vaebench.experiment.tier import load_tier
from vaebench.paths import Layout
from vaebench.runs.run_hash import run_hash, run_hashes
from vaebench.workflow.rules import (
    FIGURES_PER_JOB,
    figure_jobs,
    for_job,
    gpu_of_a_job,
    job_made_from,
    lost_codes,
    untracked,
    whole_number,
)

Make = Callable[..., Experiment]


@pytest.fixture
def grid() -> Make:
    """An experiment on digits of three cells of three runs; axes and more replace its own."""

    def make(axes: dict[str, list[Any]] | None = None, **changes: Any) -> Experiment:
        values = {
            "name": "grid",
            "settings": {
                "dataset": "digits", "likelihood": "bernoulli", "epochs": 2, "objective": "bilbo",
                "network": "mlp", "hidden_units": 16, "hidden_layers": 1, "batch_size": 100,
                "learning_rate": 0.001,
            },
            "axes": axes or {"latent_dim": [2, 3, 4], "seed": [0, 1, 2]},
        }  # fmt: skip
        for axis in values["axes"]:
            values["settings"].pop(axis, None)  # type: ignore[attr-defined]
        return Experiment.model_validate(values | changes)

    return make


def jobs_of(rules: list[JobRule]) -> list[Job]:
    return [job for rule in rules for job in rule.jobs]


def folders(job: Job) -> list[str]:
    return [run.folder.as_posix() for pack in job.blocks for run in pack.runs]


def test_without_a_size_each_cell_is_a_job_and_wildcards_name_it(grid: Make) -> None:
    (rule,) = job_rules(grid())
    assert rule.pattern == "latent_dim~{latent_dim}"
    assert rule.constraints == {"latent_dim": "2|3|4"}
    assert [job.options for job in rule.jobs] == [f"--cell 'latent_dim~{n}'" for n in (2, 3, 4)]


def test_a_cell_that_is_too_large_becomes_equal_blocks(grid: Make) -> None:
    experiment = grid({"latent_dim": [2, 3], "seed": list(range(7))})
    rules = job_rules(experiment, 3)
    assert [rule.pattern for rule in rules] == [
        f"latent_dim~{{latent_dim}}/runs~{runs}" for runs in ("1-2", "3-5", "6-7")
    ]
    assert rules[1].run_patterns == [f"latent_dim~{{latent_dim}}/seed~{k}" for k in (2, 3, 4)]
    assert rules[2].jobs[1].options == "--cell 'latent_dim~3' --runs 6-7"
    assert len(jobs_of(rules)) == 6


def test_cells_that_are_small_share_a_job(grid: Make) -> None:
    two, one = job_rules(grid(), 8)
    assert (two.wildcards, two.constraints) == ((), {})
    assert two.jobs[0].options == "--cell 'latent_dim~2' --cell 'latent_dim~3'"
    assert two.run_patterns == folders(two.jobs[0])
    assert (two.pattern, one.pattern) == ("latent_dim~2_and_1_more", "latent_dim~4")
    assert two.jobs[0].label == "latent_dim~2 and 1 more"


def test_runs_of_other_code_or_other_settings_never_share_a_job(grid: Make) -> None:
    """What is compared of a job must not depend on who is in it."""
    mixed = grid({"objective": ["constant", "bilbo"], "latent_dim": [2, 3, 4], "seed": [0]})
    assert [len(folders(job)) for job in jobs_of(job_rules(mixed, 99))] == [3, 3]
    longer = grid(overrides=[{"when": {"latent_dim": 3}, "settings": {"epochs": 7}}])
    assert [folders(job)[0][:12] for job in jobs_of(job_rules(longer, 99))] == [
        "latent_dim~2",
        "latent_dim~3",
    ]


@pytest.mark.parametrize("tier", ["smoke", "paper", "celeba"])
@pytest.mark.parametrize("most", [None, 1, 4, 30, 60, 10_000])
def test_every_run_is_in_one_job_and_what_is_compared_is_its_own(
    tier: str, most: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaebench.workflow.rules.dataset_digest", lambda name: name)
    for experiment in load_tier(PROJECT / "config" / f"{tier}.yaml").experiments:
        rules, made_from = job_rules(experiment, most), job_made_from(experiment)
        alone = {
            folder: made_from(job)
            for job in jobs_of(job_rules(experiment))
            for folder in folders(job)
        }
        found = [folder for job in jobs_of(rules) for folder in folders(job)]
        assert sorted(found) == sorted(alone)
        assert len({rule.name for rule in rules}) == len(rules)
        for job in jobs_of(rules):
            assert most is None or len(folders(job)) <= most
            assert {alone[folder] for folder in folders(job)} == {made_from(job)}


def test_the_paper_tier_is_tens_of_jobs_on_a_gpu() -> None:
    experiments = load_tier(PROJECT / "config" / "paper.yaml").experiments
    counts = {
        most: sum(len(jobs_of(job_rules(e, most))) for e in experiments)
        for most in (None, 5, 75, 150)
    }
    assert counts == {None: 21, 5: 76, 75: 16, 150: 16}


def test_a_rule_finds_the_job_of_its_wildcards(grid: Make) -> None:
    (rule,) = job_rules(grid())
    label = for_job(rule, lambda job: job.label)
    assert label({"latent_dim": "3"}) == "latent_dim~3"
    assert untracked(rule, lambda job: job.label)({"latent_dim": "4"}, None) == "latent_dim~4"
    whole = job_rules(grid(), 99)[0]
    assert for_job(whole, lambda job: job.label)({}) == "latent_dim~2 and 2 more"


def test_cells_and_runs_are_chosen_on_the_command_line(grid: Make) -> None:
    one, other = grid(), grid({"latent_dim": [9], "seed": [0]}, name="other")
    assert len(chosen_blocks([one, other], None, None)) == 4
    assert [p.label for _, p in chosen_blocks([one], ["latent_dim~4", "latent_dim~2"], None)] == [
        "latent_dim~2",
        "latent_dim~4",
    ]
    ((name, pack),) = chosen_blocks([one, other], ["latent_dim~3"], "2-3")
    assert (name, pack.label) == ("grid", "latent_dim~3 runs 2-3")
    assert [run.settings.seed for run in pack.runs] == [1, 2]
    for cells, runs, message in (
        (["latent_dim~8"], None, r"no job 'latent_dim~8'; there are:\n  latent_dim~2"),
        (["latent_dim~2"], "2-4", "'2-4' are not runs among 1-3"),
        (["latent_dim~2"], "0-1", "'0-1' are not runs among 1-3"),
        (["latent_dim~2"], "two", "'two' are not runs among 1-3"),
        (None, "1-2", "'1-2' are not runs of one --cell"),
    ):
        with pytest.raises(UserError, match=message):
            chosen_blocks([one], cells, runs)


def test_the_profile_says_how_large_jobs_are_and_how_a_gpu_is_asked_for() -> None:
    assert whole_number({}, "runs_per_job", least=1) is None
    assert whole_number({"mem_mb": 1}, "runs_per_job", least=1) is None
    assert whole_number({"runs_per_job": "60"}, "runs_per_job", least=1) == 60
    assert whole_number({"retries": 0}, "retries", least=0) == 0
    for wrong in ("0", "-3", "many", "1.5"):
        with pytest.raises(UserError, match=f"runs_per_job has to be .*found {wrong}"):
            whole_number({"runs_per_job": wrong}, "runs_per_job", least=1)
    assert gpu_of_a_job({}, expected=True) == {"gpu": 1}
    assert gpu_of_a_job({"gres": "gpu:1"}, expected=True) == {}


def test_hashes_of_many_runs_are_those_of_each() -> None:
    runs = [run.settings for _, run in load_tier(PROJECT / "config" / "smoke.yaml").runs]
    # The first and last run of each objective, likelihood and network.
    some = [*{(r.objective, r.likelihood, r.network): r for r in runs}.values(), runs[0], runs[-1]]
    assert list(run_hashes(some)) == [run_hash(run) for run in some]


def test_codes_that_are_lost_are_asked_for_and_others_are_not(tmp_path: Path) -> None:
    tier, layout = load_tier(PROJECT / "config" / "quick.yaml"), Layout(tmp_path)
    assert lost_codes(layout, tier.runs) == [], "the page is to be made, and all codes with it"
    layout.report.touch()
    paths = [layout.run_codes(experiment.name, run.folder) for experiment, run in tier.runs]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert lost_codes(layout, tier.runs) == []
    paths[1].unlink()
    assert lost_codes(layout, tier.runs) == [paths[1]]


@pytest.mark.parametrize("count", [0, 1, FIGURES_PER_JOB, FIGURES_PER_JOB + 1])
def test_each_figure_has_a_job_and_a_template_for_its_caption(count: int) -> None:
    names = [f"fig{k}" for k in range(count)]
    jobs = figure_jobs(names)
    assert [name for job in jobs for name in job] == names
    templates = PROJECT / "workflow" / "report" / "figure"
    for job in jobs:
        assert all((templates / f"{place}.rst").exists() for place in range(len(job)))

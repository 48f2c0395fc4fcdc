"""Statistics of controls on made-up results whose answer is known, the tier's claims and page."""

import json
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.made_results import PAPER, made, values_of
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged, judge_claim, judge_number
from vaebench.claims.paper import load_paper_values, own_claims
from vaebench.claims.registry import compute
from vaebench.claims.select import NotRun, Watched
from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.controls import write_controls
from vaebench.reporting.tables import experiment_table

CONFIG = PROJECT / "config" / "controls.yaml"
TIER = load_tier(CONFIG)
PAIR = {"of": "constant", "minus": "learned", "n": "low"}
Histories = dict[tuple[str, int], list[tuple[float, float]]]


def with_histories(histories: Histories, **diverged: Any) -> Watched:
    """Runs of the experiment `held_out`.

    Args:
        histories: for each objective and seed the held-out and the test bound at each record.
        diverged: `status` and more of the runs with learned variances.
    """
    rows, points = [], []
    for place, ((objective, seed), bounds) in enumerate(histories.items()):
        run = {"experiment": "held_out", "objective": objective, "seed": seed}
        rows.append(
            run | {"test_elbo": bounds[-1][1]} | (diverged if objective == "learned" else {})
        )
        key = {"experiment": "held_out", "folder": str(place)}
        points += [
            key | {"step": step, "epoch": step, "held_out_elbo": held, "test_elbo": test}
            for step, (held, test) in enumerate(bounds, 1)
        ]
    # In whatever order; a claim of the tier selects the experiment.
    return replace(made(rows, points[::-1], tier=TIER), only="held_out")


OVERFITS = [(-120.0, -121.0), (-100.0, -101.5), (-104.0, -103.0), (-110.0, -109.0)]
RISES = [(-120.0, -121.0), (-106.0, -106.0), (-102.0, -102.5), (-101.0, -101.0)]


@pytest.mark.parametrize(
    ("constant", "learned", "stopped", "final"),
    [
        # Learned variances overfit: they lead where they are best, and trail at the end.
        (RISES, OVERFITS, -101.0 - -101.5, -101.0 - -109.0),
        (OVERFITS, RISES, -101.5 - -101.0, -109.0 - -101.0),
        # The test bound has no part in the choice: the best held-out record is not the best one.
        ([(-1.0, -9.0), (-2.0, -3.0)], [(-1.0, -4.0), (-2.0, -3.5)], -5.0, 0.5),
        # Of equal records the first, and those that were not recorded are passed over.
        ([(-1.0, -9.0), (-1.0, -3.0)], [(nan, -2.0), (-2.0, -3.5)], -5.5, 0.5),
    ],
)
def test_runs_are_stopped_at_their_best_held_out_bound(
    constant: list[tuple[float, float]],
    learned: list[tuple[float, float]],
    stopped: float,
    final: float,
) -> None:
    histories = {("constant", 0): constant, ("learned", 0): learned, ("learned", 5): RISES}
    results = with_histories(histories)
    assert values_of("stopped_bound_difference", results, **PAIR) == pytest.approx([stopped])
    assert values_of("bound_difference", results, **PAIR) == pytest.approx([final])


def test_a_diverged_run_is_stopped_nowhere_and_runs_without_held_out_images_are_not_run() -> None:
    histories: Histories = {("constant", 0): RISES, ("learned", 0): OVERFITS}
    (value,) = values_of(
        "stopped_bound_difference", with_histories(histories, status="diverged"), **PAIR
    )
    assert isnan(value)
    without = {run: [(nan, test) for _, test in bounds] for run, bounds in histories.items()}
    with pytest.raises(NotRun, match="'held_out' holds no images out: set held_out"):
        compute("stopped_bound_difference", with_histories(without), dict(PAIR))


def two_experiments() -> Watched:
    """A lead of 3 nats that a cosine brings to 1 at seed 0, and leaves at seed 1."""
    rows = []
    for experiment, seed, constant, learned in [
        ("posterior_variance", 0, -100.0, -103.0),
        ("posterior_variance", 1, -101.0, -104.0),
        ("cosine", 0, -99.0, -100.0),
        ("cosine", 1, -99.0, -102.0),
        ("cosine", 2, -50.0, -90.0),  # no seed of the others
    ]:
        run = {"experiment": experiment, "seed": seed, "schedule": "constant"}
        rows.append(run | {
            "objective": "constant", "test_elbo": constant, "train_elbo": constant + 2.0,
            "test_active_units": 20,
        })  # fmt: skip
        rows.append(run | {
            "objective": "learned", "test_elbo": learned, "train_elbo": learned + 2.0 + seed,
            "test_active_units": 12,
        })  # fmt: skip
    return made(rows, tier=TIER)


def test_leads_and_bounds_change_between_experiments() -> None:
    results, names = two_experiments(), {"under": "cosine", "without": "posterior_variance"}
    assert values_of("lead_change", results, **PAIR, **names) == [-2.0, 0.0]
    back = {"under": "posterior_variance", "without": "cosine"}
    assert values_of("lead_change", results, **PAIR, **back) == [2.0, 0.0]
    # All runs behind a verdict are named, of both experiments.
    assert sorted(set().union(*(rows["experiment"] for rows in results.used))) == [
        "cosine",
        "posterior_variance",
    ]
    with pytest.raises(
        UserError, match="has no experiment 'sine'; it has: posterior_variance, cos"
    ):
        compute("lead_change", results, {**PAIR, **names, "under": "sine"})


def test_differences_on_the_training_set_of_gaps_and_of_dimensions() -> None:
    results = two_experiments()
    assert values_of("training_bound_difference", results, **PAIR) == [3.0, 2.0]
    assert values_of("train_test_gap_difference", results, **PAIR) == [0.0, -1.0]
    swapped = {"of": "learned", "minus": "constant", "n": "low"}
    assert values_of("train_test_gap_difference", results, **swapped) == [0.0, 1.0]
    assert values_of("active_units_difference", results, **PAIR) == [8.0, 8.0]


def test_the_tier_repeats_the_papers_runs_with_one_thing_changed() -> None:
    paper = {run.settings.digest for _, run in load_tier(PROJECT / "config" / "paper.yaml").runs}
    plain = TIER.experiments[0]
    assert plain.name == "posterior_variance"
    digests = {
        e.name: {r.settings.digest for x, r in TIER.runs if x is e} for e in TIER.experiments
    }
    assert digests[plain.name] < paper
    for experiment in TIER.experiments[1:]:
        changed = {k for k in experiment.settings if k not in plain.settings} | {
            k for k, v in plain.settings.items() if experiment.settings[k] != v
        }
        others = set(experiment.axes["objective"]) - set(plain.axes["objective"])
        assert len(changed) + len(others) == 1 or experiment.name == "warm_up"
        # What it is compared with is trained once, in whatever experiment.
        assert bool(changed - {"beta", "warm_up"}) != bool(digests[experiment.name] & paper)
        assert 2 <= sum(c.experiment == experiment.name for c in own_claims(TIER)) <= 4
    assert len(set().union(*digests.values()) - paper) == 125


def test_a_claim_that_names_no_experiment_is_refused(tmp_path: Path) -> None:
    text = CONFIG.read_text()
    assert "without: posterior_variance" in text
    path = tmp_path / "tier.yaml"
    path.write_text(text.replace("without: posterior_variance", "without: plain"))
    with pytest.raises(UserError, match="has no experiment 'plain'"):
        own_claims(load_tier(path))


def test_runs_under_a_control_are_no_word_on_the_paper() -> None:
    """They have the paper's settings, and others that the paper does not name."""
    plain, paper = TIER.experiments[0], load_paper_values(PAPER)
    for control in ({"schedule": "cosine"}, {"weight_decay": 0.1}, {"held_out": 0.1}, {}):
        changes = {"settings": plain.settings | control, "axes": plain.axes | {"seed": [0, 1]}}
        experiments = [plain.model_dump() | changes]
        tier = Tier.model_validate({"tier": "mine", "experiments": experiments, "figures": []})
        rows = [
            run.settings.model_dump()
            | {"experiment": e.name, "folder": run.folder.as_posix(), "attested": None}
            | {"test_elbo": -135.0 - 0.1 * run.settings.seed, "train_elbo": -130.0}
            for e, run in tier.runs
        ]
        points = [
            {"experiment": row["experiment"], "folder": row["folder"], "step": step,
             "epoch": step, "test_elbo": row["test_elbo"]}
            for row in rows for step in (1, 2)
        ]  # fmt: skip
        results = made(rows, points, tier=tier)
        (lead,) = (claim for claim in paper.claims if claim.id == "fig04a-constant")
        assert judge_claim(results, lead, paper.trainings).as_in_paper == (not control)
        (printed,) = (number for number in paper.numbers if number.id == "fig05-bound-constant")
        (line,) = judge_number(results, printed)
        assert (line.verdict == Verdict.NOT_RUN) == bool(control)
        assert line.bears == (not control)
        table = experiment_table(
            results, tier.experiments[0].name, load_paper_values(PAPER).numbers
        )
        assert table["paper"].str.contains("Fig. 5").any() == (not control)


def judged(claims: dict[str, dict[str, Any]]) -> str:
    """A ledger of the tier's claims, none of them run but these."""
    lines = []
    for claim in own_claims(TIER):
        line = Judged(
            id=claim.id, place="", says=claim.says, paper="", statistic="", unit=claim.unit,
            expects=claim.expects, value=None, low=None, high=None, interval="none", parts={},
            verdict=Verdict.NOT_RUN, reason="", runs="", as_in_paper=False, source="own",
        )  # fmt: skip
        lines.append(line.model_dump() | claims.get(claim.id, {}))
    return json.dumps({"claims": lines})


def test_the_page_has_the_answers_of_the_ledger(tmp_path: Path) -> None:
    layout, page = Layout(tmp_path / "controls"), tmp_path / "controls.md"
    assert write_controls(TIER, layout, page, check=True) == [page]
    assert not page.exists()
    assert write_controls(TIER, layout, page) == [page]
    assert write_controls(TIER, layout, page) == []
    text = page.read_text()
    assert len(text.splitlines()) < 50  # a screen
    assert text.count("not run yet") == len(own_claims(TIER))
    assert "| `schedule: cosine` | a constant variance still leads on the training set |" in text
    layout.root.mkdir()
    found: dict[str, dict[str, Any]] = {
        "cosine-train-low": {"verdict": "reproduced", "value": 2.0, "low": 1.5, "high": 2.5},
        "cosine-train-high": {"verdict": "differs", "value": 0.1, "low": -0.3, "high": 0.5},
        "held-out-stopped-low": {"verdict": "inconclusive", "value": 1, "low": 0.5, "high": 1.5},
        "held-out-stopped-high": {"verdict": "inconclusive", "value": None},
    }
    layout.claims("json").write_text(judged(found))
    assert write_controls(TIER, layout, page) == [page]
    text = page.read_text()
    assert text.count("not run yet") == len(own_claims(TIER)) - 4
    assert "| above 0 nats | **yes** 2.00 [1.50, 2.50] | **no** 0.10 [−0.30, 0.50] |" in text
    assert "| above 0 nats | *undecided* 1.00 [0.50, 1.50] | *undecided* |" in text
    layout.claims("json").write_text(judged({"cosine-train-low": {"expects": "above 7"}}))
    with pytest.raises(UserError, match="does not judge claim 'cosine-train-low' as the tier's"):
        write_controls(TIER, layout, page)


def test_the_page_in_the_repository_is_what_is_published() -> None:
    layout = Layout(PROJECT / PUBLISHED.with_name("controls"))
    assert write_controls(TIER, layout, PROJECT / "docs" / "controls.md", check=True) == []


def test_stopped_bounds_are_asked_of_runs_that_hold_images_out() -> None:
    asked = {c.experiment for c in own_claims(TIER) if c.statistic == "stopped_bound_difference"}
    assert asked == {e.name for e in TIER.experiments if "held_out" in e.settings}

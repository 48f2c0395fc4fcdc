"""A ranking, its page and its figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from scipy import stats

from tests.conftest import PROJECT
from tests.made_results import made
from vaebench.experiment.tier import load_tier
from vaebench.figures.fig_ranking import draw
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.ranking import _ranked, write_ranking
from vaebench.results.ranking import _letters, ranking
from vaebench.results.read import Selection

TIER = load_tier(PROJECT / "config" / "peers.yaml")


def series(*values: float, seeds: range | None = None) -> "pd.Series[float]":
    return pd.Series(values, index=list(seeds or range(len(values))), dtype=float)


def test_clear_leads_give_one_rank_each() -> None:
    places = ranking(
        {
            "b": series(-90.0, -90.1, -89.9, -90.05),
            "a": series(-80.0, -80.2, -79.9, -80.1),
            "c": series(-100.0, -100.3, -99.8, -100.1),
        }
    )
    assert [place.method for place in places] == ["a", "b", "c"]
    assert [place.rank for place in places] == ["1", "2", "3"]
    assert [place.letters for place in places] == ["a", "b", "c"]


def test_methods_that_cannot_be_told_apart_share_ranks() -> None:
    places = ranking(
        {
            "a": series(-80.0, -80.2, -79.9, -80.1),
            "b": series(-80.1, -79.9, -80.1, -79.9),
            "c": series(-100.0, -100.3, -99.8, -100.1),
        }
    )
    assert {place.method: place.rank for place in places} == {"a": "1-2", "b": "1-2", "c": "3"}
    assert {place.method: place.letters for place in places} == {"a": "a", "b": "a", "c": "b"}


def test_the_order_is_decided_by_paired_tests_corrected_for_their_number() -> None:
    random = np.random.default_rng(0)
    seeds = 5
    values = {
        name: series(*(level + random.normal(0, 1, seeds) + np.arange(seeds)))
        for name, level in (("a", 0.0), ("b", 1.0), ("c", 5.0), ("d", 5.5))
    }
    names = list(values)
    tests = {
        (x, y): stats.ttest_rel(values[x], values[y])
        for i, x in enumerate(names)
        for y in names[i + 1 :]
    }
    # Holm by hand: the k-th smallest of m p-values times m - k + 1, not falling.
    running, adjusted = 0.0, {}
    for k, pair in enumerate(sorted(tests, key=lambda pair: tests[pair].pvalue)):
        running = max(running, min(1.0, (len(tests) - k) * tests[pair].pvalue))
        adjusted[pair] = running
    better = dict.fromkeys(names, 0)
    worse = dict.fromkeys(names, 0)
    for (x, y), p in adjusted.items():
        if p <= 0.05:
            winner, loser = (x, y) if tests[x, y].statistic > 0 else (y, x)
            worse[winner] += 1
            better[loser] += 1
    assert any(p <= 0.05 for p in adjusted.values())
    assert any(p > 0.05 for p in adjusted.values())
    places = ranking(values)
    letters = {place.method: set(place.letters) for place in places}
    for (x, y), p in adjusted.items():
        assert bool(letters[x] & letters[y]) == (p > 0.05)
    for place in places:
        assert place.first == 1 + better[place.method]
        assert place.last == len(names) - worse[place.method]


def test_equal_methods_are_rarely_put_in_an_order() -> None:
    random = np.random.default_rng(1)
    trials = 400
    ordered = 0
    for _ in range(trials):
        common = random.normal(0, 2, 5)  # of a seed, for all methods
        values = {name: series(*(common + random.normal(0, 1, 5))) for name in "abcd"}
        ordered += any(place.rank != "1-4" for place in ranking(values))
    # At most 5%, with three standard deviations of the count.
    assert ordered / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_a_method_that_diverged_or_has_one_seed_has_no_rank() -> None:
    places = ranking(
        {
            "diverged": series(-70.0, float("nan")),
            "one": series(-80.0),
            "a": series(-90.0, -90.1),
            "b": series(-95.0, -95.1),
        }
    )
    assert [place.method for place in places] == ["one", "a", "b", "diverged"]
    assert [(place.rank, place.letters) for place in places[::3]] == [("", ""), ("", "")]
    assert places[1].first == 1


def test_only_shared_seeds_are_compared() -> None:
    a, b = series(1.0, 2.0, 3.1), series(0.0, 1.1, seeds=range(1, 3))
    (first, second) = ranking({"a": a, "b": b})
    difference = stats.ttest_rel([2.0, 3.1], [0.0, 1.1])
    assert (difference.pvalue <= 0.05) == (first.rank == "1")
    assert first.mean.count == 3
    assert second.mean.count == 2


def test_equal_values_are_alike() -> None:
    first, second = ranking({"a": series(1.0, 2.0), "b": series(1.0, 2.0)})
    assert first.rank == second.rank == "1-2"


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda p: p[0] < p[1])))
def test_names_share_a_letter_if_and_only_if_they_are_alike(pairs: set[tuple[int, int]]) -> None:
    names = [f"m{k}" for k in range(7)]
    alike: dict[str, set[str]] = {name: set() for name in names}
    for i, j in pairs:
        alike[names[i]].add(names[j])
        alike[names[j]].add(names[i])
    letters = {name: set(text) for name, text in _letters(alike).items()}
    for a in names:
        assert letters[a]
        for b in names:
            assert a == b or bool(letters[a] & letters[b]) == (b in alike[a])
    assert "a" in letters["m0"]


def measured_runs() -> pd.DataFrame:
    rows = [
        {"objective": objective, "beta": beta, "seed": seed, "evidence_mean": mean + seed / 10,
         "evidence_elbo": mean - 2.0, "evidence_gap": 2.0, "evidence_error": 0.1,
         "status": "completed",
         "sample_kid": 0.1, "sample_coverage": 0.5, "test_active_units": 9,
         "steps_per_second": 80.4}
        for objective, beta, mean in (
            ("learned", None, -90.0), ("beta-vae", 0.5, -95.0), ("beta-vae", 4.0, -120.0)
        )
        for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_table_tells_the_values_of_a_parameter_apart() -> None:
    found = _ranked(TIER.experiments[0], measured_runs(), [])
    lines = found.lines
    assert [line.method for line in lines] == ["learned", "beta-vae, beta 0.5", "beta-vae, beta 4"]
    assert lines[0].evidence == "−89.90 [−90.15, −89.65]"
    assert lines[0].beside == ["−92.00", "2.00", "0.100", "0.500", "9.0", "80"]
    assert lines[0].seeds == 3
    assert (found.measured, found.planned, found.first) == (9, 50, ["learned"])
    assert (found.told_apart, found.pairs) == (3, 3)
    assert found.summary == (
        "Of the methods with a rank, the best is learned. "
        "Of 3 pairs of methods, 3 can be told apart."
    )


def test_pairs_that_no_test_decides_are_not_counted_as_told_apart() -> None:
    runs = measured_runs()
    runs.loc[runs["beta"] == 0.5, "evidence_mean"] = [-91.0, -89.0, -89.5]
    found = _ranked(TIER.experiments[0], runs, [])
    assert found.first == ["beta-vae, beta 0.5", "learned"]
    assert (found.told_apart, found.pairs) == (2, 3)
    assert found.summary.startswith(
        "Of the methods with a rank, the best is one of: beta-vae, beta 0.5; learned. Of 3 pairs"
    )


def test_evidence_that_annealing_did_not_find_is_not_compared() -> None:
    runs = measured_runs()
    runs.loc[(runs["beta"] == 0.5) & (runs["seed"] == 1), "evidence_error"] = 1.5
    found = _ranked(TIER.experiments[0], runs, [])
    (line,) = [line for line in found.lines if line.method == "beta-vae, beta 0.5"]
    assert (line.rank, line.evidence, line.beside[:2]) == ("", "not known", ["−97.00", ""])
    assert (found.first, found.pairs) == (["learned"], 1)


def test_the_figure_gives_no_rank_to_a_method_with_a_diverged_run() -> None:
    rows = measured_runs().assign(experiment="mnist", evidence_images=250.0, latent_dim=16)
    rows.loc[0, ["evidence_mean", "evidence_elbo", "status"]] = [None, None, "diverged"]
    results = made([{str(k): v for k, v in row.items()} for row in rows.to_dict("records")])
    shown = Selection("mnist", ("objective", "beta"), results.runs, results.runs)
    drawn = draw(results, shown)
    (ax,) = drawn.figure.axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["beta-vae, beta = 0.5", "beta-vae, beta = 4", "Learned Σ"]
    assert [text.get_text() for text in ax.texts][-1] == "no rank"
    assert len(drawn.shown) == 9
    assert "first 250 test images" in drawn.caption
    plt.close(drawn.figure)


def test_an_empty_tier_says_that_nothing_is_measured(tmp_path: Path) -> None:
    layout, page = Layout(tmp_path / "peers"), tmp_path / "ranking.md"
    assert write_ranking(TIER, layout, page, check=True) == [page]
    assert not page.exists()
    assert write_ranking(TIER, layout, page) == [page]
    assert write_ranking(TIER, layout, page) == []
    text = page.read_text()
    assert text.count("None of the 50 runs is measured yet.") == 2
    assert "a constant variance is no detriment to the evidence" in text


def test_the_page_in_docs_is_up_to_date() -> None:
    layout = Layout((PROJECT / PUBLISHED).with_name("peers"))
    assert write_ranking(TIER, layout, PROJECT / "docs" / "ranking.md", check=True) == []


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_both_datasets_have_the_same_methods(name: str) -> None:
    cells = [cell.job for cell in TIER.experiment(name).cells]
    assert len(cells) == 10
    assert sum(cell["objective"] == "beta-vae" for cell in cells) == 2

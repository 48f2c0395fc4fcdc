"""The page of objectives by evidence."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tests.conftest import PROJECT
from tests.made_results import made
from vaebench.experiment.tier import load_tier
from vaebench.figures.fig_evidence import draw
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.evidence import _groups, write_evidence
from vaebench.results import equations
from vaebench.results.read import Selection

COLUMNS = list(equations.COLUMNS)
TIER = load_tier(PROJECT / "config" / "evidence.yaml")


def test_an_empty_tier_says_that_nothing_is_measured(tmp_path: Path) -> None:
    layout, page = Layout(tmp_path / "evidence"), tmp_path / "evidence_results.md"
    assert write_evidence(TIER, layout, page, check=True) == [page]
    assert not page.exists()
    assert write_evidence(TIER, layout, page) == [page]
    assert write_evidence(TIER, layout, page) == []
    text = page.read_text()
    assert "None of the 15 runs is measured yet." in text
    assert "None of the 30 runs is measured yet." in text
    assert "a constant variance is no detriment to the evidence" in text
    assert "n = 2: not run yet; n = 100: not run yet" in text


def test_objectives_are_summed_up_over_seeds() -> None:
    runs = pd.DataFrame(
        [
            {"objective": objective, "latent_dim": 50, "seed": seed, "evidence_mean": mean + seed,
             "evidence_elbo": mean - 2.0, "evidence_gap": 2.0 + seed, "evidence_gap_median": -0.5,
             "evidence_method": "ais", "evidence_images": 1000}
            for objective, mean in (("learned", -90.0), ("iwae", -88.0)) for seed in (0, 1)
        ]
    )  # fmt: skip
    (low, learned), (high, iwae) = sorted(_groups(runs), key=lambda item: item[0])
    assert (low, high) == (-89.5, -87.5)
    assert (learned.objective, iwae.objective) == ("learned", "iwae")
    # Student's t with one degree of freedom: 12.706 times 0.5.
    assert learned.mean == "−89.50 [−95.85, −83.15]"
    assert learned.bound == "−92.00 [−92.00, −92.00]"
    assert learned.median_gap == "−0.50"
    assert (learned.n, learned.seeds, learned.method) == (50, 2, "ais, 1,000 images")


def test_the_figure_shows_evidence_without_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equations, "equation_values", lambda _: pd.DataFrame(columns=COLUMNS))
    rows: list[dict[str, Any]] = [
        {"experiment": "evidence", "objective": objective, "seed": seed, "latent_dim": n,
         "evidence_mean": -90.0 + seed, "evidence_elbo": -95.0, "evidence_images": 1000}
        for objective in ("learned", "bilbo") for n in (2, 100) for seed in (0, 1)
    ]  # fmt: skip
    rows.append(rows[0] | {"seed": 2, "evidence_mean": None})
    results = made(rows)
    drawn = draw(results, Selection("evidence", ("objective",), results.runs, results.runs))
    assert [ax.get_title() for ax in drawn.figure.axes] == ["n = 2", "n = 100"]
    assert len(drawn.shown) == 8
    assert "1,000 test images" in drawn.caption
    plt.close(drawn.figure)


def test_the_page_in_docs_is_up_to_date() -> None:
    layout = Layout((PROJECT / PUBLISHED).with_name("evidence"))
    page = PROJECT / "docs" / "evidence_results.md"
    assert write_evidence(TIER, layout, page, check=True) == []

"""Curves of bounds, and of how one method leads another."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from tests.made_results import made
from vaebench.figures.curves import draw_lead
from vaebench.results.read import Results

STYLE = {"color": "black"}


def two_methods(**of_bilbo: Any) -> Results:
    """Two seeds and latent dimensions; BILBO leads by 10 n + seed + step."""
    rows, history = [], []
    for method in ("learned", "bilbo"):
        for n in (2, 3):
            for seed in (0, 1):
                folder = f"{method}/{n}/{seed}"
                row = {"experiment": "celeba", "objective": method, "latent_dim": n, "seed": seed,
                       "folder": folder}  # fmt: skip
                rows.append(row | (of_bilbo if method == "bilbo" else {}))
                lead = 10 * n + seed if method == "bilbo" else 0
                history += [
                    {"experiment": "celeba", "folder": folder, "epoch": None, "step": step,
                     "test_elbo": -1000.0 * n - seed + (lead + step if lead else 0)}
                    for step in (500, 1000)
                ]  # fmt: skip
    return made(rows, history)


def drawn(results: Results, n: int = 2) -> Axes:
    ax = plt.figure().add_subplot()
    rows = results.runs[results.runs["latent_dim"] == n]
    learned, bilbo = (rows[rows["objective"] == name] for name in ("learned", "bilbo"))
    draw_lead(ax, results, bilbo, learned, "BILBO", STYLE)
    plt.close(ax.figure)  # type: ignore[arg-type]
    return ax


@pytest.mark.parametrize("n", [2, 3])
def test_a_lead_is_the_mean_difference_of_runs_of_one_seed(n: int) -> None:
    ax = drawn(two_methods(), n)
    mean, *single = (np.asarray(line.get_ydata()) for line in ax.lines)
    assert mean.tolist() == [10 * n + 0.5 + step for step in (500, 1000)]
    assert sorted(line[0] for line in single) == [10 * n + seed + 500 for seed in (0, 1)]
    assert ax.get_xlabel() == "step"


def test_latent_dimensions_are_not_mixed() -> None:
    results = two_methods()
    ax, runs = plt.figure().add_subplot(), results.runs
    learned, bilbo = (runs[runs["objective"] == name] for name in ("learned", "bilbo"))
    draw_lead(ax, results, bilbo[bilbo["latent_dim"] == 2], learned, "BILBO", STYLE)
    assert np.asarray(ax.lines[0].get_ydata()).tolist() == [20.5 + 500, 20.5 + 1000]
    plt.close(ax.figure)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"seed": 7}, {"status": "diverged"}])
def test_without_a_partner_nothing_is_drawn(change: dict[str, Any]) -> None:
    assert drawn(two_methods(**change)).lines[:] == []

"""A user's own objectives through the whole pipeline, from a file outside the repository."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import read_json
from tests.workflow.project import Project, copy_project

pytestmark = pytest.mark.workflow

PLUGIN = """
import math

import numpy as np
import torch

from vaebench import Parameter, dataset, likelihood, objective
from vaebench.claims.registry import statistic
from vaebench.claims.select import runs_of
from vaebench.data.prepared import Arrays
from vaebench.experiment.figures import figure
from vaebench.experiment.needs import Need


@objective(parameters={"strength": Parameter(1.0, minimum=0), "rise": Parameter(0.0, minimum=0)})
def weighted(batch, strength, rise):
    share = (batch.progress / rise).nan_to_num(nan=1.0).clamp(max=1)
    return (batch.log_likelihood - share * strength * batch.kl).mean(-1)


@objective(samples="draws", parameters={"draws": Parameter(1, minimum=1)})
def importance(batch, draws):
    weights = batch.log_likelihood + batch.log_prior - batch.log_posterior
    return (weights.logsumexp(1) - math.log(draws)).mean(-1)


@objective(parameters={"push": 10.0})
def discrepancy(batch, push):
    prior = batch.noise("prior", *batch.z.shape[1:])

    def kernel(a, b):
        return (-(a.unsqueeze(2) - b.unsqueeze(1)).square().sum(-1) / 2).exp().mean((1, 2))

    mmd = kernel(batch.z, batch.z) + kernel(prior, prior) - 2 * kernel(batch.z, prior)
    return batch.log_likelihood.mean(-1) - push[:, 0] * mmd


@likelihood(parameters={"freedom": Parameter(5.0, above=0)})
def student_t(x, decoded, freedom):
    return torch.distributions.StudentT(freedom, decoded.output, 0.3).log_prob(x).sum(-1)


@dataset("random stripes")
def stripes():
    images = 255 * np.random.default_rng(0).integers(0, 2, (300, 8, 1), np.uint8).repeat(8, 2)
    return Arrays(images[:200], np.zeros(200, np.uint8), images[200:], np.zeros(100, np.uint8))


@figure("Bounds against rates", Need("weights", varies=frozenset({"strength"})))
def bounds_and_rates(results, shown):
    from matplotlib import pyplot as plt

    from vaebench.figures.style import Drawing

    drawn, ax = plt.subplots()
    ax.plot(shown.runs["test_rate"], shown.runs["test_elbo"], ".")
    return Drawing(drawn, "Test bounds against rates.", shown.runs)


@statistic
def rate_lost(results, weight):
    "The rate at the smallest weight minus that at another one."
    rows = runs_of(results, Need("weights", varies=frozenset({"strength"})), None)
    rates = rows.pivot(index="seed", columns="strength", values="test_rate")
    return {"": (rates[rates.columns.min()] - rates[weight]).tolist()}
"""

CONFIG = """
tier: mine
plugins: [{plugin}]
experiments:
  - name: weights
    settings: &shared {{dataset: stripes, likelihood: bernoulli, latent_dim: 2, network: mlp,
      hidden_units: 8, hidden_layers: 1, batch_size: 50, epochs: 2, learning_rate: 1e-3}}
    axes: {{objective: [learned, weighted], strength: [0.5, 1, 4], rise: [0.5], seed: [0, 1]}}
    packed: [strength, seed]
  - name: draws
    settings: *shared
    axes: {{objective: [learned, importance], draws: [1, 5], seed: [0, 1]}}
  - name: tails
    settings: {{dataset: stripes, likelihood: student-t, objective: discrepancy, latent_dim: 2,
      network: mlp, hidden_units: 8, hidden_layers: 1, batch_size: 50, epochs: 2,
      learning_rate: 1e-3}}
    axes: {{freedom: [2, 5, 30], seed: [0, 1]}}
    packed: [freedom, seed]
figures: [fig04, bounds-and-rates]
claims:
  - {{id: lost, says: a weight costs information, statistic: rate_lost, unit: nats,
     arguments: {{weight: 4.0}}, above: 0.0}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("own")
    for name in ("project", "outside"):
        (folder / name).mkdir()
    made = copy_project(folder / "project")
    (folder / "outside" / "my_vae.py").write_text(PLUGIN)
    (made.root / "tiny.yaml").write_text(CONFIG.format(plugin="../outside/my_vae.py"))
    # The dataset has no registered digest, so it is prepared first.
    for command in (["data", "stripes", "--tier", "tiny.yaml"], None):
        done = made.snakemake() if command is None else made.vaebench(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_every_run_is_trained_and_collected(project: Project) -> None:
    runs = pd.read_parquet(project.root / "results" / "mine" / "runs.parquet")
    weights = runs[runs["experiment"] == "weights"]
    assert len(weights) == 2 + 6
    assert sorted(weights["strength"].dropna().unique()) == [0.5, 1.0, 4.0]
    draws = runs[runs["experiment"] == "draws"]
    assert len(draws) == 2 + 4
    assert sorted(draws["draws"].dropna().unique()) == [1, 5]
    tails = runs[runs["experiment"] == "tails"]
    assert sorted(tails["freedom"].unique()) == [2.0, 5.0, 30.0]
    assert runs["test_elbo"].notna().all()
    # A larger weight leaves less information in the codes.
    rates = weights.groupby("strength")["test_rate"].mean()
    assert rates[0.5] > rates[4.0]
    folders = set(runs["folder"])
    assert "objective~weighted/rise~0.5/strength~4/seed~1" in folders
    assert "objective~importance/draws~5/seed~0" in folders
    # The same runs in two experiments are trained once.
    assert runs[runs["objective"] == "learned"]["run_hash"].nunique() == 2


def test_tables_and_page_compare_along_its_axes(project: Project) -> None:
    tier = project.root / "results" / "mine"
    table = pd.read_csv(tier / "tables" / "weights.csv")
    assert {"objective", "strength", "difference", "difference_low"} <= set(table.columns)
    assert table[table["objective"] == "weighted"]["difference"].notna().all()
    assert pd.read_csv(tier / "tables" / "tails.csv")["difference"].notna().sum() == 2
    page = (tier / "index.html").read_text()
    assert page.index("weighted") < page.index("<table")
    assert (tier / "figures" / "fig04.png").exists()
    assert (tier / "figures" / "bounds-and-rates.png").exists()
    assert "Bounds against rates" in page
    ledger: Any = read_json(tier / "claims.json")
    (own,) = (claim for claim in ledger["claims"] if claim["id"] == "lost")
    assert own["source"] != "paper"
    assert own["value"] > 0


def test_it_is_done_and_whole(project: Project) -> None:
    again = project.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr
    done = project.vaebench("verify", "--tier", "results/mine")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_objective_with_noise_ends_with_the_same_bytes(project: Project, tmp_path: Path) -> None:
    """In another pack and another process. Sums over the training set agree to rounding: PyTorch
    computes the last few elements of a stack of runs by other instructions than the rest.
    """
    tier = project.root / "results" / "mine"
    before: Any = read_json(tier / "runs" / "tails" / "freedom~5" / "seed~1" / "metrics.json")
    command = [
        *("train", "--device", "cpu", "--out", str(tmp_path)),
        *("--plugin", "../outside/my_vae.py", "--store", str(tmp_path / "store")),
        *("--data", str(project.root / "data"), "--seeds", "1"),
        # More threads than runs share a product, which moves the last bits of its sums.
        *("--threads", "1"),
    ]
    for name, value in before["run"].items():
        if name != "seed" and value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    done = project.vaebench(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    after: Any = read_json(tmp_path / "seed~1" / "metrics.json")
    assert after["run_hash"] == before["run_hash"]
    for name in ("weights", "arrays"):
        assert after["digests"][name] == before["digests"][name]
    for which in ("train", "test"):
        assert after["final"][which] == pytest.approx(before["final"][which], rel=1e-9)

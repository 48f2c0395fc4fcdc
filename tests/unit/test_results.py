"""Collecting runs, statistics over seeds, tables, figures and the page."""

import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import image as mpimage
from scipy import stats

from tests.tiers import forge, train_tier
from vaebench.claims.paper import load_paper_values
from vaebench.claims.write import write_ledger
from vaebench.cli.results import collect as collect_command
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.comparison import Comparison
from vaebench.experiment.figures import FIGURES
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import Tier, load_tier
from vaebench.figures import fig04
from vaebench.figures.draw import draw_figure, shown_by
from vaebench.page.assemble import write_page
from vaebench.paths import Layout
from vaebench.reporting.tables import (
    experiment_table,
    to_csv,
    to_markdown,
    write_tables,
)
from vaebench.results.collect import collect
from vaebench.results.compare import paired_difference
from vaebench.results.read import Results, load_results
from vaebench.runs.record import read_record
from vaebench.runs.sources import Basis, accepted_sources

PAPER = Path(__file__).parents[2] / "config" / "paper_values.yaml"
MakeSettings = Callable[..., Settings]
SHOWN = [
    name
    for name, spec in FIGURES.items()
    if {need.named for need in spec.needs} == {"posterior_variance"}
    and not name.startswith("fig_")  # These need measured equations: test_equation_figures.py.
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A folder with a small tier's runs and its data, as the workflow leaves them."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(data_root, root / "data")
    tier = Tier.model_validate(
        {
            "tier": "small",
            "experiments": [
                {
                    "name": "posterior_variance",
                    "settings": {
                        "dataset": "digits", "likelihood": "bernoulli", "epochs": 6,
                        "network": "mlp", "hidden_units": 16, "hidden_layers": 1, "batch_size": 100,
                        "learning_rate": 0.001,
                    },
                    "axes": {
                        "objective": ["learned", "constant", "bilbo"],
                        "latent_dim": [2, 4],
                        "seed": [0, 1, 2],
                    },
                }
            ],
            "figures": SHOWN,
        }
    )  # fmt: skip
    train_tier(tier, root)
    return root


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(trained, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def results(project: Path) -> Results:
    layout = Layout(project / "results" / "small")
    collect(load_tier(layout.config), layout)
    return load_results(layout.root)


def recollect(project: Path) -> None:
    layout = Layout(project / "results" / "small")
    collect(load_tier(layout.config), layout)


def a_run(project: Path) -> Path:
    return project / "results/small/runs/posterior_variance/objective~bilbo/latent_dim~2/seed~1"


def test_the_collected_table_has_a_row_a_run(results: Results) -> None:
    assert len(results.runs) == 18
    assert len(results.history) == 18 * 6
    row = results.of("posterior_variance", objective="bilbo", latent_dim=4, seed=2).iloc[0]
    assert row["test_elbo"] == pytest.approx(-row["test_rate"] - row["test_distortion"])
    assert row["folder"] == "objective~bilbo/latent_dim~4/seed~2"


def test_a_missing_run_is_refused_with_the_command_that_trains_it(project: Path) -> None:
    (a_run(project) / "metrics.json").unlink()
    with pytest.raises(UserError) as error:
        recollect(project)
    assert "seed~1/metrics.json is missing" in str(error.value)
    assert "vaebench run --tier" in str(error.value)
    assert "--cell 'objective~bilbo/latent_dim~2'" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"seed": 1', '"seed": 7', "changed after its hash"),
        ('"run_hash": "', '"run_hash": "0', "refused, made with other"),
        ('"schema_version": 3', '"schema_version": 4', "no valid record"),
        ('"status"', '"state"', "no valid record"),
    ],
)
def test_a_forged_record_is_refused(project: Path, old: str, new: str, message: str) -> None:
    forge(a_run(project) / "metrics.json", old, new)
    with pytest.raises(UserError, match=message):
        recollect(project)


def test_a_damaged_record_is_refused_wherever_it_is_damaged(project: Path) -> None:
    path = a_run(project) / "metrics.json"
    content = path.read_bytes()
    for k in range(40):
        damaged = bytearray(content)
        damaged[k * len(content) // 40] ^= 1 << k % 7
        path.write_bytes(damaged)
        try:
            same = json.loads(damaged) == json.loads(content)
        except ValueError:
            same = False
        if same:  # a space became another
            continue
        with pytest.raises(UserError, match=r"metrics\.json is no valid record"):
            recollect(project)


def test_changed_arrays_are_refused(project: Path) -> None:
    path = a_run(project) / "arrays.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"arrays\.npz: refused"):
        recollect(project)


def test_runs_of_other_settings_sources_or_data_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(project / "results" / "small")
    values = yaml.safe_load(layout.config.read_text())
    values["experiments"][0]["settings"]["learning_rate"] = 0.002
    with pytest.raises(UserError, match="made with other settings") as error:
        collect(Tier.model_validate(values), layout)
    assert str(error.value).count("refused") == 18
    with monkeypatch.context() as patch:
        for module in ("vaebench.results.collect", "vaebench.runs.run_hash"):
            patch.setattr(f"{module}.accepted_sources", lambda *_: {"other": Basis(None)})
        with pytest.raises(UserError, match="made with other sources"):
            recollect(project)
    monkeypatch.setitem(DATASETS, "digits", replace(DATASETS["digits"], digest="other"))
    with pytest.raises(UserError, match="made with other data"):
        recollect(project)


def test_the_collected_table_says_which_runs_rest_on_an_attestation(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.runs["attested"].isna().all()
    own = read_record(a_run(results.layout.root.parents[1]) / "metrics.json").digests.sources
    attested = {"other": Basis(None), own: Basis("rounding")}

    def accepted(run: Settings) -> dict[str, Basis]:
        return attested if run.objective == "bilbo" else accepted_sources(run)

    for module in ("vaebench.results.collect", "vaebench.runs.run_hash"):
        monkeypatch.setattr(f"{module}.accepted_sources", accepted)
    recollect(results.layout.root.parents[1])
    counts = load_results(results.layout.root).runs.groupby("objective")["attested"].count()
    assert counts.to_dict() == {"bilbo": 6, "constant": 0, "learned": 0}


def test_collecting_again_gives_the_same_bytes(results: Results) -> None:
    before = results.layout.runs.read_bytes()
    collect_command(str(results.layout.config))
    recollect(results.layout.root.parents[1])
    assert results.layout.runs.read_bytes() == before


def test_every_figure_is_drawn_and_its_bytes_repeat(results: Results) -> None:
    for name in SHOWN:
        draw_figure(results, name)
        files = [results.layout.figure(name, extension) for extension in ("svg", "png")]
        before = [file.read_bytes() for file in files]
        draw_figure(results, name)
        assert [file.read_bytes() for file in files] == before
        # These decoders are hardly trained, and their noise packs worse than any real image.
        assert all(len(content) < 700_000 for content in before)
        pixels = mpimage.imread(files[1])
        assert pixels.shape[1] > 800
        assert np.unique(pixels).size > 20, "the figure is empty"
        caption = results.layout.caption(name).read_text()
        assert "digits, bernoulli likelihood" in caption
        assert "seed" in caption
        row = results.of("posterior_variance", objective="bilbo", latent_dim=2, seed=0).iloc[0]
        shows_bilbo = name not in ("fig02", "fig03", "fig12")
        assert (row["run_hash"].encode() in before[0]) == shows_bilbo
        assert (row["run_hash"].encode() in before[1]) == shows_bilbo
        assert b"<dc:date>" not in before[0]


def test_a_figure_changes_with_its_own_runs_alone(results: Results) -> None:
    draw_figure(results, "fig12")
    path = results.layout.figure("fig12", "svg")
    before = path.read_bytes()
    results.runs.loc[results.runs["objective"] == "bilbo", "test_elbo_data_units"] = 0.0
    draw_figure(results, "fig12")
    assert path.read_bytes() == before
    results.runs.loc[results.runs["objective"] == "learned", "test_elbo_data_units"] = 0.0
    draw_figure(results, "fig12")
    assert path.read_bytes() != before


def test_a_figure_says_that_a_run_diverged(results: Results) -> None:
    of_seed_0 = results.runs["seed"] == 0
    for column, value in (("status", "diverged"), ("diverged_step", 7), ("test_elbo", math.nan)):
        results.runs.loc[of_seed_0, column] = value
    later = results.history["folder"].str.endswith("seed~0") & (results.history["epoch"] > 2)
    results.history.loc[later, "test_elbo"] = math.nan
    for folder in results.runs.loc[of_seed_0, "folder"]:
        path = results.layout.run("posterior_variance", folder) / "arrays.npz"
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for name in ("posterior_mean", "posterior_std", "prior_std"):
            if name in arrays:
                arrays[name] = np.full_like(arrays[name], np.nan)
        np.savez(path, allow_pickle=False, **arrays)
    for name in SHOWN:
        draw_figure(results, name)
        caption = results.layout.caption(name).read_text()
        objective = "bilbo" if name == "fig13" else "learned"
        assert f"diverged: {objective} n = 2 seed 0" in caption
    # The bounds of Figure 4 are those of the runs that are left.
    axes = fig04.draw(results, *shown_by(results, "fig04")).figure.axes[:2]
    for ax in axes:
        for line in ax.get_lines():
            values = np.asarray(line.get_ydata(), dtype=float)
            assert len(values) == 6
            assert np.isfinite(values).all()


def test_unknown_figures_and_uncollected_tiers_are_named(results: Results, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'fig99' is not one of: fig01"):
        draw_figure(results, "fig99")
    with pytest.raises(UserError, match="is missing: run the tier"):
        load_results(tmp_path / "nothing")


def test_the_page_shows_every_figure_and_table(results: Results) -> None:
    for name in SHOWN:
        draw_figure(results, name)
    write_tables(results, "posterior_variance", PAPER)
    write_ledger(results, PAPER)
    page = write_page(results).read_text()
    assert "not run" in page
    for name in SHOWN:
        assert f'href="figures/{name}.svg"' in page
        assert results.layout.caption(name).read_text()[:40] in page


def test_the_table_has_paired_differences_and_intervals(results: Results) -> None:
    table = experiment_table(results, "posterior_variance", load_paper_values(PAPER).numbers)
    assert list(table["objective"]) == [
        "learned",
        "learned",
        "constant",
        "constant",
        "bilbo",
        "bilbo",
    ]
    runs = results.runs.set_index(["objective", "latent_dim", "seed"])["test_elbo"].sort_index()
    line = table[(table["objective"] == "bilbo") & (table["latent_dim"] == 4)].iloc[0]
    ours, baseline = runs["bilbo", 4].to_numpy(), runs["learned", 4].to_numpy()
    assert line["seeds"] == 3
    assert line["test_elbo_mean"] == pytest.approx(ours.mean())
    assert line["test_elbo_std"] == pytest.approx(ours.std(ddof=1))
    paired = stats.ttest_rel(ours, baseline).confidence_interval(0.95)
    assert line["difference"] == pytest.approx((ours - baseline).mean())
    assert line["difference_low"] == pytest.approx(paired.low)
    assert line["difference_high"] == pytest.approx(paired.high)
    assert table[table["objective"] == "learned"]["difference"].isna().all()
    assert (table["paper"] == "").all(), "a number of the paper stands beside other settings"
    read_back = pd.read_csv(io.StringIO(to_csv(table)))
    assert read_back["test_elbo_mean"].tolist() == table["test_elbo_mean"].tolist()


def test_precisions_are_compared_with_float32_at_otherwise_equal_settings() -> None:
    """Not with another objective, although that varies too."""
    lines = [
        {"objective": objective, "precision": precision, "seed": seed, "test_elbo": bound + seed}
        for objective, precision, bound in (
            ("learned", "float32", -140.0),
            ("learned", "bfloat16", -141.0),
            ("bilbo", "float32", -130.0),
            ("bilbo", "bfloat16", -133.0),
        )
        for seed in range(3)
    ]
    runs = pd.DataFrame(lines)
    comparison = Comparison("precision", "float32")
    for objective, difference in (("learned", -1.0), ("bilbo", -3.0)):
        settings = {"objective": objective, "precision": "bfloat16"}
        found = paired_difference(runs, comparison, settings)
        assert found
        assert found.count == 3
        assert found.mean == found.low == found.high == pytest.approx(difference)
        exact = {"objective": objective, "precision": "float32"}
        assert paired_difference(runs, comparison, exact) is None


def test_bounds_of_other_data_or_likelihoods_are_not_compared() -> None:
    rows = [
        {"objective": objective, "likelihood": likelihood, "data_scale": scale, "seed": seed,
         "test_elbo": 0.0, "test_elbo_data_units": 10.0 * scale}
        for objective, likelihood, scale in (
            ("a", "gaussian", 1.0), ("b", "gaussian", 2.0), ("c", "bernoulli", 1.0),
            ("d", "gaussian", 1.0),
        )
        for seed in range(2)
    ]  # fmt: skip
    comparison = Comparison("objective", "a")
    found = {o: paired_difference(pd.DataFrame(rows), comparison, {"objective": o}) for o in "bcd"}
    assert [name for name, difference in found.items() if difference] == ["d"]
    # Of scaled data, it is the bound of the unscaled data that is compared.
    of_scales = paired_difference(
        pd.DataFrame(rows[:4]), Comparison("data_scale", 1.0), {"data_scale": 2.0}
    )
    assert of_scales
    assert of_scales.mean == 10.0


def test_the_papers_numbers_stand_beside_its_settings_alone(results: Results) -> None:
    as_paper: dict[str, Any] = {
        "dataset": "mnist", "epochs": 200, "batch_size": 300, "learning_rate": 0.001,
        "hidden_units": 200, "hidden_layers": 3,
    }  # fmt: skip
    values = results.tier.model_dump()
    for experiment in values["experiments"]:
        experiment["settings"] |= as_paper
    table = experiment_table(
        replace(results, tier=Tier.model_validate(values), runs=results.runs.assign(**as_paper)),
        "posterior_variance",
        load_paper_values(PAPER).numbers,
    )
    printed = table.set_index(["objective", "latent_dim"])["paper"]
    place = "Fig. 2, three runs; the first is Fig. 5's"
    assert printed["learned", 2] == f"-136.5, -135, -134.4 ({place})"
    assert printed["bilbo", 2] == "-134.3 (Fig. 5)"
    assert printed["bilbo", 4] == ""
    markdown = to_markdown(table, Comparison("objective", "learned"))
    assert "−134.3 (Fig. 5)" in markdown
    assert markdown.count("\n") == 8

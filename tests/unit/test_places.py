"""A finished run fills all its places in a tier."""

import shutil
from pathlib import Path

import pytest

from tests.tiers import forge
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout
from vaebench.results.collect import collect
from vaebench.results.read import load_results
from vaebench.runs.measures import EVIDENCE
from vaebench.runs.places import fill_places, fillings
from vaebench.runs.record import read_record
from vaebench.runs.store import run_folder
from vaebench.sharing.adopt import adopt_runs


@pytest.fixture
def tier(layout: Layout) -> Tier:
    """The small tier with its runs in two more experiments, and a run that is not trained."""
    (first,) = load_tier(layout.config).experiments
    settings = first.settings | {"latent_dim": 2}
    measured = {"name": "measured", "settings": settings | {"objective": "bilbo"},
                "axes": {"seed": [0, 1]}, "sample_quality": True}  # fmt: skip
    plain = {"name": "plain", "settings": settings | {"objective": "learned"},
             "axes": {"latent_scale": [1.0], "seed": [0, 1, 2]}}  # fmt: skip
    return Tier.model_validate(
        {"tier": "small", "experiments": [first.model_dump(), measured, plain], "figures": []}
    )


def filled(tier: Tier, layout: Layout, store: Path) -> list[str]:
    found = [f"{f.experiment}/{f.run.folder}" for f in fillings(tier, layout, store)]
    assert fill_places(tier, layout, store) == len(found)
    assert fillings(tier, layout, store) == []
    return found


MEASURED = ["measured/seed~0", "measured/seed~1"]
SEED_1 = "objective~bilbo/latent_dim~2/seed~1"
PLAIN = ["plain/latent_scale~1/seed~0", "plain/latent_scale~1/seed~1"]


def test_a_run_of_the_tier_fills_its_other_places(tier: Tier, layout: Layout) -> None:
    assert filled(tier, layout, Path("no-store")) == [*PLAIN, *MEASURED]
    collect(tier, layout, finished_only=True)
    runs = load_results(layout.root).runs
    assert runs.groupby("experiment").size().to_dict() == {
        "posterior_variance": 4, "measured": 2, "plain": 2,
    }  # fmt: skip
    assert runs["run_hash"].nunique() == 4
    assert runs[runs["experiment"] == "measured"]["sample_kid"].notna().all()
    assert runs[runs["experiment"] == "plain"]["sample_kid"].isna().all()
    for name in ("metrics.json", "arrays.npz", "evaluation.json"):
        there = layout.run("posterior_variance", "objective~bilbo/latent_dim~2/seed~1") / name
        assert (layout.run("measured", "seed~1") / name).read_bytes() == there.read_bytes()
    assert layout.weights("measured", "seed~0").exists()
    metrics = layout.run("measured", "seed~0") / "metrics.json"
    assert layout.evaluation("measured", "seed~0").stat().st_mtime >= metrics.stat().st_mtime


def test_a_run_of_the_store_fills_its_places(tier: Tier, layout: Layout, tmp_path: Path) -> None:
    store = tmp_path / "store"
    adopt_runs(layout, store)
    shutil.rmtree(layout.root / "runs")
    shutil.rmtree(layout.root / "weights")
    assert len(filled(tier, layout, store)) == 8
    collect(tier, layout, finished_only=True)


def test_a_place_that_could_not_be_measured_stays_empty(tier: Tier, layout: Layout) -> None:
    """Without weights and without an evaluation that counts, the tier could not be collected."""
    store = Path("no-store")
    own = layout.root / "runs" / "posterior_variance"
    weights = layout.root / "weights" / "posterior_variance"
    forge(
        own / "objective~bilbo/latent_dim~2/seed~0/evaluation.json",
        '"classifier": "',
        '"classifier": "0',
    )
    (own / "objective~bilbo/latent_dim~2/seed~1/evaluation.json").unlink()
    kept = weights.rename(layout.root / "kept")
    assert filled(tier, layout, store) == PLAIN
    # From its weights it can be measured.
    kept.rename(weights)
    assert filled(tier, layout, store) == MEASURED
    assert not layout.evaluation("measured", "seed~1").exists()


def test_a_place_whose_evidence_cannot_be_measured_stays_empty(
    tier: Tier, layout: Layout, tmp_path: Path
) -> None:
    """A run that was imported without its weights must not stop the others of a tier."""
    first, measured, plain = tier.experiments
    measured = measured.model_copy(update={"sample_quality": False, "evidence": True})
    asked = tier.model_copy(update={"experiments": [first, measured, plain]})
    (layout.root / "weights" / "posterior_variance").rename(layout.root / "kept")
    store = tmp_path / "store"
    adopt_runs(layout, store)
    assert [f.experiment for f in fillings(asked, layout, store)] == ["plain", "plain"]
    # What was measured before is copied from the store by the job.
    record = read_record(layout.run("posterior_variance", SEED_1) / "metrics.json")
    for name in EVIDENCE.files:
        (run_folder(store, record.run_hash) / name).write_bytes(b"measured")
    filled = [f"{f.experiment}/{f.run.folder}" for f in fillings(asked, layout, store)]
    assert filled == [*PLAIN, "measured/seed~1"]
    # From its weights each can be measured.
    (layout.root / "kept").rename(layout.root / "weights" / "posterior_variance")
    assert len(fillings(asked, layout, store)) == 4


def test_what_is_damaged_or_of_other_sources_fills_nothing(
    tier: Tier, layout: Layout, tmp_path: Path
) -> None:
    store, own = tmp_path / "store", layout.root / "runs" / "posterior_variance"
    adopt_runs(layout, store)
    (own / "objective~learned/latent_dim~2/seed~0/arrays.npz").write_bytes(b"damaged")
    forge(
        own / "objective~learned/latent_dim~2/seed~1/metrics.json",
        '"run_hash": "',
        '"run_hash": "0',
    )
    assert filled(tier, layout, Path("no-store")) == MEASURED
    # Their runs in the store are whole.
    record = (own / "objective~learned/latent_dim~2/seed~0/metrics.json").read_bytes()
    assert filled(tier, layout, store) == PLAIN
    assert (layout.run("plain", "latent_scale~1/seed~0") / "metrics.json").read_bytes() == record
    shutil.rmtree(layout.root / "runs" / "plain")
    for folder in (store / "runs").glob("*/*"):
        assert folder == run_folder(store, folder.name)
        (folder / "arrays.npz").write_bytes(b"damaged")
    assert filled(tier, layout, store) == []

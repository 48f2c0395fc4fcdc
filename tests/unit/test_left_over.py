"""What is left of an earlier config: named by verify, removed by tidy, kept in the store."""

import shutil
from pathlib import Path

import pytest
import yaml

from vaebench.cli.sharing import tidy as command
from vaebench.cli.sharing import verify as verify_command
from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout
from vaebench.runs.left_over import left_over, tidy
from vaebench.runs.record import read_record
from vaebench.runs.store import get_run, kept_evaluation
from vaebench.sharing.archive import export_tier, import_tier

FOLDER = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"


def narrow(layout: Layout) -> Tier:
    """Take a seed and a figure out of the config."""
    values = yaml.safe_load(layout.config.read_text("utf-8"))
    values["experiments"][0]["axes"]["seed"] = [0]
    values["figures"].remove("fig13")
    layout.config.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_tier(layout.config)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nothing_is_left_over_of_the_config_in_force(layout: Layout, tmp_path: Path) -> None:
    before = files(layout.root)
    assert left_over(load_tier(layout.config), layout) == []
    assert tidy(load_tier(layout.config), layout, tmp_path / "store") == 0
    assert files(layout.root) == before


def test_what_the_config_no_longer_has_goes_and_its_runs_stay_in_the_store(
    layout: Layout, tmp_path: Path
) -> None:
    before, store = files(layout.root), tmp_path / "store"
    tier = narrow(layout)
    record = read_record(layout.root / "runs" / FOLDER / "metrics.json")
    removed = tidy(tier, layout, store)
    after = files(layout.root)
    gone = before.keys() - after.keys() - {"manifest.json"}
    assert len(gone) == removed
    assert all("seed~1" in name or name.startswith("figures/fig13.") for name in gone)
    assert not any("seed~1" in name for name in after)
    assert not list((layout.root / "runs").glob("**/seed~1"))
    kept = get_run(store, record.run_hash)
    assert kept.metrics == before[f"runs/{FOLDER}/metrics.json"]
    assert kept.arrays == before[f"runs/{FOLDER}/arrays.npz"]
    assert kept.weights == before[f"weights/{FOLDER}/model.safetensors"]
    evaluation = kept_evaluation(store, record.run_hash)
    assert evaluation.read_bytes() == before[f"runs/{FOLDER}/evaluation.json"]


def test_weights_that_the_store_lacks_are_kept_there(layout: Layout, tmp_path: Path) -> None:
    store = tmp_path / "store"
    archive = export_tier(layout, tmp_path / "small.tar", False)
    import_tier(archive, tmp_path / "results", store)
    record = read_record(layout.root / "runs" / FOLDER / "metrics.json")
    assert get_run(store, record.run_hash).weights is None
    tier = narrow(layout)
    weights = layout.root / "weights" / FOLDER / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"other")
    with pytest.raises(UserError, match="are not those of its run"):
        tidy(tier, layout, store)
    weights.write_bytes(whole)
    tidy(tier, layout, store)
    assert not weights.exists()
    assert get_run(store, record.run_hash).weights == whole


def test_the_config_that_is_given_decides(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(layout.root, "results/small")
    former = layout.config.read_bytes()
    narrow(layout)
    Path("config").mkdir()
    shutil.copy(layout.config, "config/small.yaml")
    assert Path("results/small/config.yaml").read_bytes() == former
    command("results/small", tmp_path / "store")
    assert Path("results/small/runs", FOLDER).exists()
    command("small", tmp_path / "store")
    assert not Path("results/small/runs", FOLDER).exists()
    Path("config/small.yaml").unlink()
    command("small", tmp_path / "store")  # That of the results, if there is no other.


def test_a_damaged_run_is_not_thrown_away(layout: Layout, tmp_path: Path) -> None:
    tier = narrow(layout)
    (layout.root / "runs" / FOLDER / "metrics.json").write_text("{}", encoding="utf-8")
    before = files(layout.root)
    with pytest.raises(UserError, match="no valid record"):
        tidy(tier, layout, tmp_path / "store")
    assert files(layout.root) == before


def test_verify_names_the_remedy(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(layout)
    with pytest.raises(BaseException, match="1"):
        verify_command(str(layout.root))
    assert f"`vaebench tidy --tier {layout.root}`" in capsys.readouterr().out
    command(str(layout.root), tmp_path / "store")
    assert "run the tier again" in capsys.readouterr().out


def test_measures_that_are_no_longer_asked_for_go_and_stay_in_the_store(
    layout: Layout, tmp_path: Path
) -> None:
    before, store = files(layout.root), tmp_path / "store"
    values = yaml.safe_load(layout.config.read_text("utf-8"))
    for experiment in values["experiments"]:
        experiment.pop("sample_quality", None)
    layout.config.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    measured = {name for name in before if name.endswith("/evaluation.json")}
    assert measured
    assert tidy(load_tier(layout.config), layout, store) == len(measured)
    assert before.keys() - files(layout.root).keys() == measured | {"manifest.json"}
    for name in measured:
        record = read_record((layout.root / name).with_name("metrics.json"))
        assert kept_evaluation(store, record.run_hash).read_bytes() == before[name]


def test_a_measure_of_a_run_that_is_gone_is_removed(layout: Layout, tmp_path: Path) -> None:
    tier = narrow(layout)
    folder = layout.root / "runs" / FOLDER
    (folder / "metrics.json").unlink()
    assert folder / "evaluation.json" in left_over(tier, layout)
    tidy(tier, layout, tmp_path / "store")
    assert not folder.exists()


def test_tables_of_equations_go_with_the_last_plan_for_them(layout: Layout) -> None:
    layout.equation_values.write_bytes(b"")
    assert left_over(load_tier(layout.config), layout) == [layout.equation_values]

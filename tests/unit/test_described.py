"""Datasets of a config, of a path and of a user's own function, from their names to their runs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

import vaebench
from vaebench.cli import app
from vaebench.data import described, prepared
from vaebench.data.described import NpzDataset, dataset_of, register_datasets
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS, dataset
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import Tier, dump_tier, load_tier
from vaebench.paths import Layout
from vaebench.runs.run_hash import run_hash
from vaebench.workflow.rules import data_options


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    kept = dict(DATASETS)
    yield
    DATASETS.clear()
    DATASETS.update(kept)


def write_npz(path: Path, level: int = 7, labels: bool = True, count: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"images": np.full((count, 4, 6), level, np.uint8)}
    if labels:
        arrays["labels"] = np.arange(count) % 3
    np.savez(path, **arrays)
    return path


def write_photos(folder: Path, count: int = 20) -> Path:
    for k in range(count):
        (folder / "abc"[k % 3]).mkdir(parents=True, exist_ok=True)
        array = np.full((8, 8, 3), 5 * k, np.uint8)
        Image.fromarray(array).save(folder / "abc"[k % 3] / f"{k}.png")
    return folder


def tier(datasets: dict[str, Any], **experiment: Any) -> dict[str, Any]:
    return {
        "tier": "own",
        "datasets": datasets,
        "experiments": [
            {
                "name": "first",
                "settings": {
                    "likelihood": "bernoulli", "epochs": 1, "batch_size": 10,
                    "learning_rate": 0.001, "network": "mlp", "hidden_units": 8,
                    "hidden_layers": 1, "objective": "learned", "latent_dim": 2,
                },
                "axes": {"dataset": list(datasets) or ["digits"], "seed": [0]},
            }
            | experiment
        ],
        "figures": [],
    }  # fmt: skip


def write_config(root: Path, values: dict[str, Any]) -> Path:
    path = root / "config" / "own.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_config_describes_datasets(tmp_path: Path) -> None:
    write_npz(tmp_path / "config" / "cells.npz")
    write_photos(tmp_path / "photos")
    datasets = {
        "cells": {"npz": "cells.npz", "test_share": 0.5},
        "photos": {"folder": "../photos/", "size": [4, 6], "colours": 1},
    }
    load_tier(write_config(tmp_path, tier(datasets)))
    shapes = {}
    for name in datasets:
        prepared.prepare(name, tmp_path, [])
        shapes[name] = prepared.load(tmp_path / "prepared", name).train_images.shape
    assert shapes == {"cells": (30, 4, 6), "photos": (18, 4, 6)}
    assert DATASETS["cells"].description == "images of the file cells.npz"
    assert not DATASETS["cells"].is_public


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "datasets.cells: a dataset needs one of the keys npz"),
        ("cells.npz", "datasets.cells: a dataset needs one of the keys npz"),
        ({"npz": "a.npz", "folder": "b"}, "datasets.cells: a dataset needs one of the keys npz"),
        ({"npz": "a.npz", "size": 3}, "datasets.cells.npz.size: Extra inputs"),
        ({"npz": ""}, "datasets.cells.npz.npz: String should have at least 1"),
        (
            {"npz": "a.npz", "test_share": 1.0},
            "datasets.cells.npz.test_share: Input should be",
        ),
        ({"npz": "a.npz", "split_seed": -1}, "datasets.cells.npz.split_seed: Input should be gr"),
        ({"npz": "a.npz", "digest": "1"}, "datasets.cells.npz.digest: String should match"),
        ({"folder": "b", "colours": 2}, "datasets.cells.folder.colours: Input should be 1 or 3"),
        ({"folder": "b", "size": 0}, "datasets.cells.folder.size"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, description: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        load_tier(write_config(tmp_path, tier({"cells": description})))
    assert message in str(error.value)
    assert "own.yaml" in str(error.value)
    assert "cells" not in DATASETS


def test_a_name_of_ours_is_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path, tier({"digits": {"npz": "digits.npz"}}))
    with pytest.raises(UserError, match="datasets: there is a dataset 'digits' already"):
        load_tier(config)
    with pytest.raises(UserError, match="there is a dataset 'digits' already"):
        dataset_of(str(write_npz(tmp_path / "digits.npz")))
    with pytest.raises(UserError, match="there is a dataset 'digits' already"):

        @dataset("of a plugin")
        def digits() -> Arrays:
            raise AssertionError


def test_a_name_has_one_description(tmp_path: Path) -> None:
    here, there = write_npz(tmp_path / "cells.npz"), tmp_path / "copy" / "cells.npz"
    first = NpzDataset(npz=str(here))
    register_datasets({"cells": first})
    register_datasets({"cells": NpzDataset(npz=str(here))})
    register_datasets({"cells": NpzDataset(npz=str(there))})
    assert DATASETS["cells"].described == first
    with pytest.raises(UserError, match=r"'cells' is described in two ways: as .*0\.1.* as .*0\.5"):
        register_datasets({"cells": NpzDataset(npz=str(here), test_share=0.5)})
    shutil.move(here, write_npz(there))
    register_datasets({"cells": NpzDataset(npz=str(there))})
    assert DATASETS["cells"].described == NpzDataset(npz=str(there))
    write_npz(here)
    with pytest.raises(UserError, match="described in two ways"):
        register_datasets({"cells": first})


def test_a_resolved_config_finds_the_same_files(tmp_path: Path) -> None:
    write_npz(tmp_path / "config" / "cells.npz")
    config = write_config(tmp_path, tier({"cells": {"npz": "cells.npz"}}))
    loaded = load_tier(config)
    copy = tmp_path / "results" / "own" / "config.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_text(dump_tier(loaded, copy.parent))
    assert "npz: ../../config/cells.npz\n" in copy.read_text()
    assert str(tmp_path) not in copy.read_text()
    assert load_tier(copy) == loaded
    assert dump_tier(load_tier(copy), config.parent) == dump_tier(loaded, config.parent)
    assert data_options(loaded, Layout(copy.parent)) == [f"--tier={copy}"]


def test_a_config_without_datasets_is_written_without_them(tmp_path: Path) -> None:
    loaded = Tier.model_validate(tier({}))
    assert "datasets" not in yaml.safe_load(dump_tier(loaded, tmp_path))
    assert data_options(loaded, Layout(tmp_path)) == []


def test_a_run_depends_on_the_bytes(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "cells.npz")
    register_datasets({"cells": NpzDataset(npz=str(source))})
    run = Settings.model_validate(
        tier({})["experiments"][0]["settings"] | {"dataset": "cells", "seed": 0}
    )
    with pytest.raises(UserError, match=r"not prepared.*`vaebench data cells --tier TIER`"):
        run_hash(run, tmp_path)
    prepared.prepare("cells", tmp_path, [])
    first = run_hash(run, tmp_path)
    assert prepared.is_prepared(tmp_path / "prepared", "cells")

    write_npz(source, level=8)
    assert not prepared.is_prepared(tmp_path / "prepared", "cells")
    with pytest.raises(UserError, match=r"cells\.npz\) has changed since it was prepared: run"):
        run_hash(run, tmp_path)
    prepared.prepare("cells", tmp_path, [])
    assert run_hash(run, tmp_path) != first

    write_npz(source)
    prepared.prepare("cells", tmp_path, [])
    assert run_hash(run, tmp_path) == first
    source.unlink()  # What is prepared is enough.
    assert run_hash(run, tmp_path) == first


def test_other_options_are_another_preparation(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "cells.npz")
    for seed in (0, 1):
        register_datasets({"cells": NpzDataset(npz=str(source), split_seed=seed)})
        assert not prepared.is_prepared(tmp_path / "prepared", "cells")
        prepared.prepare("cells", tmp_path, [])
        assert prepared.is_prepared(tmp_path / "prepared", "cells")
        del DATASETS["cells"]


def test_a_change_in_a_folder_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "LOOK_AGAIN", 0.0)
    name = dataset_of(str(write_photos(tmp_path / "Holiday Photos")))
    assert name == "holiday-photos"
    prepared.prepare(name, tmp_path, [])
    assert prepared.is_prepared(tmp_path / "prepared", name)
    (tmp_path / "Holiday Photos" / "a" / "0.png").unlink()
    assert not prepared.is_prepared(tmp_path / "prepared", name)


def test_a_digest_refuses_other_bytes(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "cells.npz")
    register_datasets({"cells": NpzDataset(npz=str(source))})
    manifest = json.loads(prepared.prepare("cells", tmp_path, []).read_text())
    del DATASETS["cells"]
    register_datasets({"cells": NpzDataset(npz=str(source), digest=manifest["digest"])})
    assert prepared.data_digest(tmp_path / "absent", "cells") == manifest["digest"]
    prepared.prepare("cells", tmp_path, [])
    write_npz(source, level=8)
    with pytest.raises(UserError, match="not the registered"):
        prepared.prepare("cells", tmp_path, [])


def test_samples_are_not_measured_without_labels(tmp_path: Path) -> None:
    write_npz(tmp_path / "config" / "cells.npz", labels=False)
    values = tier({"cells": {"npz": "cells.npz"}}, sample_quality=True)
    with pytest.raises(UserError, match="dataset 'cells' has no labels"):
        load_tier(write_config(tmp_path, values))
    del DATASETS["cells"]
    write_npz(tmp_path / "config" / "cells.npz")
    load_tier(write_config(tmp_path, values))
    del DATASETS["cells"]
    (tmp_path / "config" / "cells.npz").unlink()  # as where finished results are read
    load_tier(write_config(tmp_path, values))


def test_a_path_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    assert dataset_of("digits") == "digits"
    assert dataset_of("no-such-name") == "no-such-name"
    (tmp_path / "text.txt").touch()
    for path, message in {
        "absent.npz": "absent.npz is missing: a dataset is",
        "absent/": "absent is missing",
        "text.txt": "is neither a .npz file nor a folder",
    }.items():
        with pytest.raises(UserError, match=message):
            dataset_of(f"{tmp_path}/{path}")
    with pytest.raises(UserError, match="'--' cannot be the name"):
        dataset_of(str(write_npz(tmp_path / "--.npz")))


def test_the_command_line_takes_paths_and_tiers(tmp_path: Path) -> None:
    write_npz(tmp_path / "config" / "cells.npz")
    config = write_config(tmp_path, tier({"other": {"npz": "cells.npz", "test_share": 0.5}}))
    result = CliRunner().invoke(
        app, ["data", str(tmp_path / "config" / "cells.npz"), "other", "--tier", str(config),
              "--root", str(tmp_path)],
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    for name, count in (("cells", 6), ("other", 30)):
        assert len(prepared.load(tmp_path / "prepared", name).test_images) == count


def test_train_takes_a_path_and_prepares_it_again_when_it_changes(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "cells.npz")
    digests = []
    for level in (7, 7, 8):
        if level == 8:
            write_npz(source, level)
        result = CliRunner().invoke(
            app, ["train", "--dataset", str(source), "--objective", "bilbo", "--likelihood",
                  "bernoulli", "--latent-dim", "2", "--epochs", "1", "--hidden-units", "4",
                  "--batch-size", "20", "--out", str(tmp_path / "out"), "--device", "cpu",
                  "--data", str(tmp_path / "data"), "--store", str(tmp_path / "store")],
        )  # fmt: skip
        assert result.exit_code == 0, result.exception
        record = json.loads((tmp_path / "out" / "seed~0" / "metrics.json").read_text())
        assert record["run"]["dataset"] == "cells"
        digests.append(record["digests"]["data"])
    assert digests[0] == digests[1] != digests[2]


def test_a_function_gets_the_arguments_that_it_takes(tmp_path: Path) -> None:
    @dataset("80 + 20 blobs of 4x4", is_labelled=False)
    def my_blobs(name: str, unfinished: Path) -> Arrays:
        assert name == "my-blobs"
        assert unfinished.parent == tmp_path / "prepared"
        images, labels = np.zeros((100, 4, 4), np.uint8), np.zeros(100, np.uint8)
        return Arrays(images[:80], labels[:80], images[80:], labels[80:])

    prepared.prepare("my-blobs", tmp_path, [])
    assert len(prepared.load(tmp_path / "prepared", "my-blobs").test_images) == 20
    assert not DATASETS["my-blobs"].is_labelled
    with pytest.raises(UserError, match=r"needs 'seed', and can get only: name, raw, mirrors"):

        @dataset("no dataset can have this argument")
        def other(seed: int) -> Arrays:
            raise AssertionError(seed)


def test_a_function_is_called_again_when_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    text = """
import numpy as np
from vaebench.data.prepared import Arrays
from vaebench.data.registry import dataset

@dataset("blobs")
def blobs():
    images, labels = np.full((9, 2, 2), LEVEL, np.uint8), np.zeros(9, np.uint8)
    return Arrays(images, labels, images, labels)
"""
    levels = []
    for level in (1, 2):
        file.write_text(text.replace("LEVEL", str(level)))
        exec(compile(file.read_text(), str(file), "exec"), {})
        assert not prepared.is_prepared(tmp_path / "prepared", "blobs")
        prepared.prepare("blobs", tmp_path, [])
        assert prepared.is_prepared(tmp_path / "prepared", "blobs")
        levels.append(prepared.load(tmp_path / "prepared", "blobs").test_images.max())
        del DATASETS["blobs"]
    assert levels == [1, 2]


def test_a_run_on_images_of_ones_own_is_read_where_nothing_describes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "cells.npz")
    small = ["--objective", "bilbo", "--epochs", "1", "--hidden-units", "8", "--batch-size", "20"]
    done = CliRunner().invoke(app, ["train", "--dataset", "cells.npz", *small])
    assert done.exit_code == 0, done.output
    del DATASETS["cells"]
    run = vaebench.load_run("out/seed~0", device="cpu")
    assert run.sample(2, "fitted").shape == (2, 4, 6)
    assert run.sample(2, "aggregated").shape == (2, 4, 6)
    with pytest.raises(UserError, match="nothing here says what it is"):
        prepared.prepare("cells", Path("data"), [])
    # It gives way to what describes it.
    assert dataset_of("cells.npz") == "cells"
    assert DATASETS["cells"].source is not None
    # Runs on two datasets are not mixed.
    del DATASETS["cells"]
    done = CliRunner().invoke(app, ["train", "--dataset", "digits", *small])
    assert isinstance(done.exception, UserError)
    assert "dataset is cells there, and digits here" in str(done.exception)


def test_a_plugins_dataset_is_prepared_by_its_tier(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from vaebench import dataset\n@dataset('stripes')\ndef stripes():\n    ...\n"
    )
    config = tmp_path / "mine.yaml"
    values = {
        "tier": "mine",
        "plugins": ["mine.py"],
        "figures": [],
        "experiments": [
            {
                "name": "e",
                "settings": {
                    "dataset": "stripes", "likelihood": "bernoulli", "objective": "learned",
                    "latent_dim": 2, "epochs": 1, "batch_size": 20, "learning_rate": 0.001,
                    "network": "mlp", "hidden_units": 8, "hidden_layers": 1,
                },
                "axes": {"seed": [0]},
            }
        ],
    }  # fmt: skip
    config.write_text(yaml.safe_dump(values))
    layout = Layout(tmp_path / "results" / "mine")
    assert f"--tier={layout.config}" in data_options(load_tier(config), layout)
    with pytest.raises(UserError, match=r"run `vaebench data stripes --tier TIER` \(the tier"):
        prepared.data_digest(tmp_path / "prepared", "stripes")

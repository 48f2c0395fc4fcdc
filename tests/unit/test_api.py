"""Trained models in Python, as `import vaebench` gives them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import vaebench
from tests.conftest import PROJECT
from vaebench.api.model import floats_prior
from vaebench.api.run import PRIORS, Prior
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.objectives import OBJECTIVES
from vaebench.paths import Layout
from vaebench.runs.record import checksum, read_record

SETTINGS = {
    "dataset": "digits", "objective": "bilbo", "likelihood": "bernoulli", "latent_dim": 2,
    "network": "mlp", "hidden_units": 50, "hidden_layers": 2, "batch_size": 100, "epochs": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> list[vaebench.TrainedRun]:
    """Two seeds, with their files."""
    out = tmp_path_factory.mktemp("api") / "out"
    return vaebench.train(SETTINGS, [0, 1], out=out, data=data_root, device="cpu")


@pytest.fixture(scope="module")
def run(trained: list[vaebench.TrainedRun]) -> vaebench.TrainedRun:
    return trained[0]


@pytest.fixture
def folder(run: vaebench.TrainedRun, tmp_path: Path) -> Path:
    """A copy of the files of a run, to be changed."""
    assert run.folder is not None
    return Path(shutil.copytree(run.folder, tmp_path / "copy"))


def test_importing_is_light_and_every_public_name_is_there() -> None:
    script = (
        "import sys, vaebench\n"
        "assert set(vaebench.__all__) <= set(dir(vaebench))\n"
        "vaebench.objective, vaebench.likelihood, vaebench.UserError, vaebench.Settings\n"
        "print([m for m in ('torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert all(callable(getattr(vaebench, name)) for name in vaebench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_runs'"):
        vaebench.load_runs  # type: ignore[attr-defined]  # noqa: B018


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(vaebench.__file__).parent / "py.typed").exists()


def test_train_gives_what_the_command_line_trains(
    run: vaebench.TrainedRun, tmp_path: Path, data_root: Path
) -> None:
    command = [sys.executable, "-m", "vaebench", "train", "--data", str(data_root), "--out", "out"]
    for name, value in (SETTINGS | {"device": "cpu"}).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    other = vaebench.load_run(tmp_path / "out" / "seed~0")
    assert other.record.digests.weights == run.record.digests.weights
    assert other.record.run_hash == run.record.run_hash
    assert other.metrics == run.metrics


def test_without_out_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: vaebench.TrainedRun
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alone = vaebench.train(vaebench.Settings.model_validate(run.settings.given()), device="cpu")
    assert not list(tmp_path.iterdir())
    assert alone.folder is None
    np.testing.assert_array_equal(alone.sample(2), run.sample(2))
    assert alone.sample(2, "aggregated").shape == (2, 28, 28)


def test_training_into_the_same_folder_again_trains_nothing(
    trained: list[vaebench.TrainedRun], data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained[0].folder is not None
    out = trained[0].folder.parent
    again = vaebench.train(SETTINGS, [0, 1], out=out, data=data_root, device="cpu")
    assert "2 of 2 runs are trained already" in capsys.readouterr().err
    assert [one.record for one in again] == [one.record for one in trained]


def test_a_folder_with_runs_of_other_settings_is_refused(
    trained: list[vaebench.TrainedRun], data_root: Path
) -> None:
    assert trained[0].folder is not None
    out = trained[0].folder.parent
    other = SETTINGS | {"objective": "learned"}
    with pytest.raises(UserError, match="objective is bilbo there, and learned here"):
        vaebench.train(other, [2], out=out, data=data_root, device="cpu")
    assert not (out / "seed~2").exists()


def test_settings_metrics_and_history(trained: list[vaebench.TrainedRun]) -> None:
    assert [run.settings.seed for run in trained] == [0, 1]
    history, metrics = trained[1].history, trained[1].metrics
    assert list(history["epoch"]) == [1, 2]
    assert history["elbo"].iloc[-1] == metrics.test.elbo
    assert "bilbo" in repr(trained[1])


def test_codes_and_images_against_the_record_of_the_run(
    run: vaebench.TrainedRun, digits: Arrays
) -> None:
    codes, images = run.encode(digits.test_images), run.reconstruct(digits.test_images)
    assert codes.mean.shape == codes.std.shape == (297, 2)
    assert images.shape == (297, 28, 28)
    assert (codes.std == 1).all()
    # `mse` in the record is with sampled codes, so it is larger.
    mse = np.square(images - digits.test_images / 255).mean()
    assert run.metrics.test.mse is not None
    assert 0.5 * run.metrics.test.mse < mse < run.metrics.test.mse
    np.testing.assert_allclose(codes.mean, run.arrays["posterior_mean"], rtol=1e-3, atol=1e-3)
    train = run.encode(digits.train_images)
    trace = (train.std**2 + train.mean.astype(np.float64) ** 2).mean(0).sum()
    assert trace == pytest.approx(run.metrics.fitted_prior_trace, rel=1e-5)


def test_every_form_of_an_image_gives_the_same_code(
    run: vaebench.TrainedRun, digits: Arrays
) -> None:
    levels = digits.test_images[:2]
    pixels = levels.astype(np.float32) / np.float32(255)
    expected = run.encode(levels).mean
    for form in (
        pixels,
        pixels.astype(np.float64),
        pixels.reshape(2, 784),
        pixels.tolist(),
        torch.from_numpy(np.asarray(levels)),
        torch.from_numpy(pixels).requires_grad_(),
    ):
        np.testing.assert_array_equal(run.encode(form).mean, expected)
    for one in (levels[0], levels[0].flatten()):
        np.testing.assert_allclose(run.encode(one).mean, expected[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (
            np.zeros((2, 28, 27)),
            r"images: found the shape \[2, 28, 27\]; this run takes \[N, 28, 28",
        ),
        (np.zeros((2, 1, 28, 28)), r"images: found the shape \[2, 1, 28, 28\]"),
        (np.zeros((0, 28, 28)), "N from 1"),
        (np.zeros(()), r"found the shape \[\]"),
        (np.zeros((2, 784), int), "found the type int64; give uint8"),
        (np.full((2, 784), 255.0), "found floats from 255 to 255"),
        (np.full((2, 784), -0.1), "give floats in"),
        (np.full((2, 784), np.nan), "found floats from nan to nan"),
    ],
)
def test_wrong_images_are_refused(run: vaebench.TrainedRun, images: np.ndarray, text: str) -> None:
    with pytest.raises(vaebench.UserError, match=text):
        run.encode(images)


def test_wrong_codes_are_refused(run: vaebench.TrainedRun) -> None:
    assert run.decode(np.zeros(2)).shape == (1, 28, 28)
    for z in (np.zeros((2, 4)), np.zeros((0, 2)), np.zeros((1, 2, 2)), np.full((1, 2), np.inf)):
        with pytest.raises(vaebench.UserError, match=r"^z: found"):
            run.decode(z)


def test_samples_of_each_prior(run: vaebench.TrainedRun, digits: Arrays) -> None:
    images = {prior: run.sample(400, prior, seed=1) for prior in PRIORS}
    for prior, drawn in images.items():
        assert drawn.shape == (400, 28, 28)
        assert drawn.min() >= 0
        assert drawn.max() <= 1
        np.testing.assert_array_equal(run.sample(400, prior, seed=1), drawn)
        assert (run.sample(400, prior, seed=2) != drawn).any()
    # Samples vary as the codes do, and the codes of `bilbo` vary more than N(0, I).
    spread = {prior: drawn.var(0).sum() for prior, drawn in images.items()}
    assert spread["standard"] < 0.9 * spread["fitted"]
    given = run.sample(400, "aggregated", seed=1, images=digits.train_images)
    np.testing.assert_array_equal(given, images["aggregated"])
    of_one = run.sample(5, "aggregated", images=digits.train_images[0])
    assert of_one.var(0).sum() > 1e-3, "the posterior of one image has a standard deviation"


def test_the_fitted_prior_of_a_run_with_the_standard_prior(
    data_root: Path, tmp_path: Path, digits: Arrays
) -> None:
    changes = {"objective": "learned", "latent_scale": 3.0, "epochs": 1}
    run = vaebench.train(SETTINGS | changes, out=tmp_path, data=data_root, device="cpu")
    assert not floats_prior(run.settings)
    assert (run.arrays["prior_std"] == 1).all()
    fitted = run._fitted_scale(None)
    assert np.square(fitted).sum() == pytest.approx(run.metrics.fitted_prior_trace, rel=1e-5)
    np.testing.assert_array_equal(run._fitted_scale(digits.train_images), fitted)
    codes = run.encode(digits.test_images)
    assert codes.std.std(0).min() > 0, "each image has a standard deviation of its own"
    np.testing.assert_allclose(codes.std, run.arrays["posterior_std"], rtol=1e-3, atol=1e-3)


def test_what_needs_training_images_says_so(
    run: vaebench.TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = vaebench.load_run(str(run.folder), data=tmp_path)
    assert without.sample(2, "aggregated").shape == (2, 28, 28), "digits are embedded"
    monkeypatch.setitem(DATASETS, "digits", DATASETS["mnist"])
    with pytest.raises(vaebench.UserError, match="images of 'digits' are needed"):
        without.sample(2, "aggregated")
    assert without.sample(2, "fitted").shape == (2, 28, 28)


def test_data(digits: Arrays, data_root: Path, tmp_path: Path) -> None:
    for folder in (data_root, str(tmp_path)):
        found = vaebench.load_data("digits", folder)
        np.testing.assert_array_equal(found.test_images, digits.test_images)
        np.testing.assert_array_equal(found.train_labels, digits.train_labels)
    with pytest.raises(vaebench.UserError, match="vaebench data mnist --root "):
        vaebench.load_data("mnist", tmp_path)
    with pytest.raises(vaebench.UserError, match="no dataset 'digit'; there are: mnist"):
        vaebench.load_data("digit")


@pytest.mark.parametrize(("n", "prior"), [(0, "standard"), (2, "uniform")])
def test_wrong_samples_are_refused(run: vaebench.TrainedRun, n: int, prior: Prior) -> None:
    with pytest.raises(vaebench.UserError, match=r"^(n|prior): found"):
        run.sample(n, prior)


def test_interpolation_goes_from_one_image_to_the_other(
    run: vaebench.TrainedRun, digits: Arrays
) -> None:
    a, b = digits.test_images[:2]
    line = run.interpolate(a, b, 5)
    ends = np.concatenate([run.reconstruct(a), run.reconstruct(b)])
    np.testing.assert_allclose(line[[0, -1]], ends, atol=1e-6)
    middle = (run.encode(a).mean + run.encode(b).mean) / 2
    np.testing.assert_allclose(line[2:3], run.decode(middle), atol=1e-5)
    with pytest.raises(vaebench.UserError, match=r"^steps: found 1"):
        run.interpolate(a, b, 1)
    with pytest.raises(vaebench.UserError, match=r"^a, b: found 2 and 1 images"):
        run.interpolate(digits.test_images[:2], b)


def test_colour_images_and_a_likelihood_with_scaled_data(tmp_path: Path) -> None:
    run = vaebench.train(
        {
            "dataset": "faces", "objective": "bilbo", "likelihood": "gaussian", "data_scale": 4,
            "latent_dim": 4, "epochs": 1, "batch_size": 64, "hidden_units": 20, "hidden_layers": 1,
        },
        data=tmp_path,
        device="cpu",
    )  # fmt: skip
    faces = run.sample(3, "fitted")
    assert faces.shape == (3, 32, 32, 3)
    assert 0 <= faces.min() < faces.max() <= 1
    assert run.reconstruct(faces[0]).shape == (1, 32, 32, 3)


def test_a_run_of_a_tier_has_its_weights_in_another_tree(
    folder: Path, run: vaebench.TrainedRun, tmp_path: Path
) -> None:
    layout, place = Layout(tmp_path / "tier"), Path("latent_dim~2", "seed~0")
    shutil.copytree(folder, layout.run("scale", place))
    weights = layout.weights("scale", place)
    weights.parent.mkdir(parents=True)
    shutil.move(layout.run("scale", place) / "model.safetensors", weights)
    found = vaebench.load_run(layout.run("scale", place), device="cpu")
    np.testing.assert_array_equal(found.sample(2), run.sample(2))
    weights.unlink()
    without = vaebench.load_run(layout.run("scale", place))
    assert without.metrics == run.metrics
    with pytest.raises(vaebench.UserError, match=r"weights of the run are missing.*tier/weights"):
        without.sample(1)


def test_damaged_files_are_named(folder: Path) -> None:
    with pytest.raises(vaebench.UserError, match=r"has no metrics\.json; runs below it: .*copy"):
        vaebench.load_run(folder.parent)
    with pytest.raises(vaebench.UserError, match="has no metrics"):
        vaebench.load_run(folder / "nowhere")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"?")
    with pytest.raises(vaebench.UserError, match=r"model\.safetensors is not the file that"):
        vaebench.load_run(folder)
    weights.write_bytes(content)
    (folder / "arrays.npz").unlink()
    with pytest.raises(vaebench.UserError, match=r"arrays\.npz is missing"):
        vaebench.load_run(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    path = folder / "metrics.json"
    record = read_record(path)
    other = record.model_copy(update={"run": record.run.model_copy(update={"hidden_units": 49})})
    assert checksum(other.model_dump(mode="json"))
    path.write_text(other.to_json())
    with pytest.raises(vaebench.UserError, match=r"other shapes: decoder\.hidden1\.bias"):
        vaebench.load_run(folder)


def test_a_run_of_other_sources_opens_with_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vaebench.load_run(folder)
    assert "other sources" not in capsys.readouterr().err
    path = folder / "metrics.json"
    record = read_record(path)
    digests = record.digests.model_copy(update={"sources": "0" * 64})
    path.write_text(record.model_copy(update={"digests": digests}).to_json())
    assert vaebench.load_run(folder).sample(1).shape == (1, 28, 28)
    assert "was trained by other sources than those installed" in capsys.readouterr().err


def test_a_diverged_run_has_metrics_and_no_model(folder: Path) -> None:
    path = folder / "metrics.json"
    record = read_record(path)
    path.write_text(record.model_copy(update={"status": "diverged", "diverged_step": 7}).to_json())
    run = vaebench.load_run(folder)
    assert len(run.history) == 2
    with pytest.raises(vaebench.UserError, match="the run diverged at step 7"):
        run.sample(1)


def test_refused_settings_are_named() -> None:
    for changes, text in (
        ({"objective": "none"}, "objective 'none' is not one of"),
        ({"latent_dims": 2}, "'latent_dims' is not a setting"),
        ({"likelihood": "baggins"}, "needs tau"),
        ({"steps": 3}, "epochs or steps"),
    ):
        with pytest.raises(vaebench.UserError, match=text):
            vaebench.train(SETTINGS | changes)
    with pytest.raises(vaebench.UserError, match="seed"):
        vaebench.train(SETTINGS, [])
    with pytest.raises(vaebench.UserError, match="device 'tpu'"):
        vaebench.train(SETTINGS, device="tpu")


OF_A_CELL = """import vaebench
@vaebench.objective()
def of_a_cell(batch):
    return batch.log_likelihood.mean(-1)
"""


def test_an_objective_without_a_file_is_refused_with_the_way_out() -> None:
    with pytest.raises(vaebench.UserError, match="at the top of a file"):
        exec(compile(OF_A_CELL, "<cell 1>", "exec"), {})
    assert "of-a-cell" not in OBJECTIVES


def test_an_objective_whose_file_is_gone_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "cell.py"
    file.write_text(OF_A_CELL)
    try:
        exec(compile(OF_A_CELL, str(file), "exec"), {})
        file.unlink()
        with pytest.raises(vaebench.UserError, match="write the function in a file"):
            vaebench.train(SETTINGS | {"objective": "of-a-cell"})
    finally:
        del OBJECTIVES["of-a-cell"]


def test_the_results_of_a_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = vaebench.load_results(PROJECT / "results" / "published" / "paper")
    runs = results.of("posterior_variance", objective="bilbo", latent_dim=2)
    assert len(runs) > 1
    assert set(runs["folder"]) <= set(results.history["folder"])
    interval = vaebench.estimate(list(runs["test_elbo"]))
    assert interval.low < interval.mean < interval.high
    run = vaebench.load_run(results.layout.run("posterior_variance", runs["folder"].iloc[0]))
    assert run.metrics.test.elbo == runs["test_elbo"].iloc[0]
    (tmp_path / "results").symlink_to(PROJECT / "results" / "published")
    monkeypatch.chdir(tmp_path)
    assert len(vaebench.load_results("paper").runs) == len(results.runs)
    with pytest.raises(vaebench.UserError, match="is missing"):
        vaebench.load_results("other")

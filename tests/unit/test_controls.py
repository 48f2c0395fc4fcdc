"""What a control may ask of training: a cosine, weight decay and images held out."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.packs import train_steps
from tests.tiers import train_tier
from vaebench.claims.registry import compute
from vaebench.claims.select import Watched
from vaebench.data.prepared import Arrays, load
from vaebench.errors import UserError
from vaebench.execution.checkpoint import (
    checkpoint_key,
    restore_checkpoint,
    same_to_the_bit,
    save_checkpoint,
)
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import Tier
from vaebench.numerics.adam import Moments, adam_step
from vaebench.numerics.weight_decay import decay, decaying
from vaebench.paths import Layout
from vaebench.results.collect import collect
from vaebench.results.read import load_results
from vaebench.runs.record import LATER_NUMBERS, HistoryPoint, read_record
from vaebench.training import held_out as module
from vaebench.training.held_out import split
from vaebench.training.loop import step_size, train
from vaebench.training.pack import Pack, init_state

MakeSettings = Callable[..., Settings]
CPU = torch.device("cpu")


def test_a_cosine_falls_from_the_step_size_to_0(settings: MakeSettings) -> None:
    run = settings(epochs=None, steps=1000, schedule="cosine")
    sizes = [step_size(run, step, 1000) for step in range(1001)]
    assert sizes[0] == 0.001
    assert sizes[250] == pytest.approx(0.001 * (2 + 2**0.5) / 4)
    assert sizes[500] == pytest.approx(0.0005)
    assert sizes[1000] == 0
    assert all(a > b for a, b in pairwise(sizes))


def test_weight_decay_is_that_of_adamw() -> None:
    """Against torch's, in float64, with the biases in a group that does not decay."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    names = ["encoder.mean.weight", "encoder.mean.bias", "decoder.shared_std"]
    ours = dict(zip(names, (draw(2, 3, 4), draw(2, 1, 4), draw(2, 1, 1)), strict=True))
    theirs = [tensor.clone().requires_grad_() for tensor in ours.values()]
    reference = torch.optim.AdamW(
        [
            {"params": theirs[:1], "weight_decay": 0.3},
            {"params": theirs[1:], "weight_decay": 0.0},
        ],
        maximize=True,
    )
    moments = Moments.zero(list(ours.values()))
    for step in range(20):
        gradients = [draw(*tensor.shape) for tensor in theirs]
        for group in reference.param_groups:
            group["lr"] = 0.1 / (1 + step)
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = gradient
        reference.step()
        decay(ours, 0.1 / (1 + step), 0.3)
        adam_step(list(ours.values()), gradients, moments, 0.1 / (1 + step))
    for tensor, expected in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(tensor, expected.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_weights_decay_and_nothing_else(
    settings: MakeSettings, network: str, data_root: Path
) -> None:
    sizes: dict[str, object] = {}
    if network == "conv":
        sizes = {"dataset": "faces", "hidden_units": None, "hidden_layers": None, "batch_size": 4}
    run = settings(network=network, likelihood="gaussian-shared", **sizes)
    data = load(data_root / "prepared", run.dataset)
    parameters = init_state(Pack.of([run], data, CPU)).parameters
    left = {name for name in parameters if not name.endswith(".weight")}
    assert {"decoder.shared_std", *(n for n in parameters if n.endswith(".bias"))} == left
    assert len(decaying(parameters)) == len(parameters) - len(left)


def test_decaying_weights_end_smaller_and_nothing_changes_without(
    settings: MakeSettings, digits: Arrays
) -> None:
    _, plain = train_steps([settings()], digits, 30)
    _, decayed = train_steps([settings(weight_decay=30.0)], digits, 30)
    _, least = train_steps([settings(weight_decay=1e-12)], digits, 30)
    for name, tensor in plain.parameters.items():
        assert torch.equal(tensor, least.parameters[name]), name
        if name.endswith(".weight"):
            sizes = (state.parameters[name].detach().norm() for state in (decayed, plain))
            assert next(sizes) < next(sizes), name


def test_a_network_without_weights_is_refused(
    settings: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaebench.training.pack.decaying", lambda _: [])
    pack = Pack.of([settings(weight_decay=0.1)], digits, CPU)
    with pytest.raises(UserError, match="no parameter of network 'mlp' has a name that ends in"):
        init_state(pack)


def test_the_split_is_disjoint_whole_and_the_same_for_all_runs(
    settings: MakeSettings, digits: Arrays
) -> None:
    numbers = np.arange(1000, dtype=np.uint16)
    rest, held = split(numbers, 0.1)  # type: ignore[arg-type]
    assert len(held) == 100
    assert sorted([*rest, *held]) == list(range(1000))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(held) > 0).all()
    # The split is part of the data of a run: other images would be other runs under the same hash.
    assert held[:5].tolist() == [22, 44, 46, 49, 84]
    _, more = split(numbers, 0.2)  # type: ignore[arg-type]
    assert set(held) < set(more)
    packs = [
        Pack.of([settings(seed=seed, objective=name, held_out=0.1)], digits, CPU)
        for seed, name in ((0, "learned"), (7, "bilbo"))
    ]
    held_images = [pack.held_out_images for pack in packs]
    assert held_images[0] is not None
    assert held_images[1] is not None
    assert torch.equal(held_images[0], held_images[1])
    count = len(digits.train_images)
    assert len(packs[0].train_images) + len(held_images[0]) == count
    assert len(held_images[0]) == round(0.1 * count)
    assert packs[0].steps_per_epoch == len(packs[0].train_images) // 100


def test_held_out_images_are_not_trained_on(settings: MakeSettings, digits: Arrays) -> None:
    """Other images in their places leave the weights as they are, and change their bound."""
    run = settings(held_out=0.2)
    _, one = train_steps([run], digits, 10_000)
    numbers = np.arange(len(digits.train_images))
    _, held = split(numbers, 0.2)  # type: ignore[arg-type]
    images = np.array(digits.train_images)
    images[held] = 255 - images[held]
    changed = Arrays(images, digits.train_labels, digits.test_images, digits.test_labels)
    _, other = train_steps([run], changed, 10_000)
    for name, tensor in one.parameters.items():
        assert torch.equal(tensor, other.parameters[name]), name
    bounds = [state.history[0][-1].held_out_elbo for state in (one, other)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[0] > bounds[1] + 50
    assert one.history[0][-1].train_elbo == other.history[0][-1].train_elbo


def test_bounds_of_training_and_held_out_images_are_those_of_these_sets(
    settings: MakeSettings, digits: Arrays
) -> None:
    """With the test images in their place, they are the test bound but for the noise."""
    run = settings(held_out=0.5, objective="bilbo", epochs=20)
    pack, state = train_steps([run], digits, 10_000)
    last = state.history[0][-1]
    assert last.elbo is not None
    assert last.train_elbo == pytest.approx(float(pack.bound(state.parameters, "train")[0]))
    whole = Pack(pack.runs, pack.vae, pack.test_images, pack.test_images, pack.test_images)
    for found in (
        whole.bound(state.parameters, "train"),
        whole.bound(state.parameters, "held-out"),
    ):
        assert float(found[0]) == pytest.approx(last.elbo, abs=1.5)
        assert float(found[0]) != last.elbo
    count = len(pack.test_images)
    prefix = Pack(pack.runs, pack.vae, pack.train_images[:count], pack.test_images)
    assert float(prefix.evaluate(state.parameters, "train").elbo[0]) == last.train_elbo


def test_the_bound_of_training_images_is_left_out_where_it_costs_or_means_nothing(
    settings: MakeSettings, digits: Arrays
) -> None:
    _, in_steps = train_steps([settings(epochs=None, steps=4)], digits, 4)
    assert "train_elbo" not in in_steps.history[0][0].model_dump()
    run = settings(likelihood="baggins", objective="bilbo", tau=0.2, held_out=0.1, epochs=1)
    _, no_density = train_steps([run], digits, 10_000)
    assert [getattr(no_density.history[0][0], name) for name in LATER_NUMBERS] == [None, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out": 0.0001}, "held_out: 0.0001 of 1500 training images is 0 of them"),
        ({"held_out": 0.99}, "batch_size 100 exceeds the 15 training images of 'digits' that are"),
    ],
)
def test_too_few_images_are_refused(
    settings: MakeSettings, data_root: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    resources = Resources(CPU, data_root, tmp_path / "store", save_every=1)
    target = Target(settings(**change), tmp_path / "run", tmp_path / "weights")
    with pytest.raises(UserError, match=message):
        train_targets("test", [target], resources)


def test_settings_that_are_not_given_leave_text_and_digest_as_they_were(
    settings: MakeSettings,
) -> None:
    plain = settings()
    assert not {"weight_decay", "held_out"} & plain.model_dump().keys()
    assert not {"weight_decay", "held_out"} & json.loads(plain.model_dump_json()).keys()
    # The digest of these settings before there were any of the others.
    assert plain.digest == "87ed2fb813d988c81a05f4677ae23c65a0074c2c680a3ed3151d37af5438b573"
    changes: list[dict[str, object]] = [
        {"weight_decay": 0.1}, {"held_out": 0.1}, {"held_out": 0.2}, {"schedule": "cosine"},
    ]  # fmt: skip
    digests = {settings(**change).digest for change in changes}
    assert len(digests | {plain.digest}) == len(changes) + 1
    for wrong in ({"held_out": 1.0}, {"held_out": 0}, {"weight_decay": -0.1}):
        with pytest.raises(ValueError, match="than"):
            settings(**wrong)


FORMER = {
    "epoch": 1, "step": 5, "objective": -1.0, "elbo": -1.0, "rate": 1.0, "distortion": 0.0,
    "mse": 0.5,
}  # fmt: skip


def test_a_former_history_is_read_and_keeps_its_text() -> None:
    former = HistoryPoint.model_validate(FORMER)
    assert (former.train_elbo, former.held_out_elbo) == (None, None)
    assert former.model_dump() == FORMER
    assert json.loads(former.model_dump_json()) == FORMER
    # Not finite is not the same as not recorded.
    diverged = HistoryPoint.model_validate(FORMER | {"train_elbo": None})
    assert diverged.model_dump() == FORMER | {"train_elbo": None}


def test_a_former_checkpoint_continues(
    settings: MakeSettings, digits: Arrays, tmp_path: Path
) -> None:
    run = settings(epochs=4)
    pack, state = train_steps([run], digits, 30)
    before = [point.model_dump(exclude=set(LATER_NUMBERS)) for point in state.history[0]]
    state.history = [[HistoryPoint.model_validate(point) for point in before]]
    key = checkpoint_key(pack, "data")
    save_checkpoint(tmp_path / "state", key, state)
    again = init_state(pack)
    assert restore_checkpoint(tmp_path / "state", key, pack, again, same_to_the_bit(run))
    assert train(pack, again, lambda: False, lambda _: None)
    _, whole = train_steps([run], digits, 10_000)
    assert [point.model_dump() for point in again.history[0][:2]] == before
    assert again.history[0][2:] == whole.history[0][2:]
    for name, tensor in whole.parameters.items():
        assert torch.equal(tensor, again.parameters[name]), name


def test_a_run_with_all_controls_stops_and_ends_with_the_same_bytes(
    settings: MakeSettings, data_root: Path, tmp_path: Path
) -> None:
    run = settings(epochs=3, schedule="cosine", weight_decay=0.1, held_out=0.1)
    found = []
    for name in ("one", "other"):
        folder = tmp_path / name
        resources = Resources(CPU, data_root, folder / "store", save_every=1)
        assert train_targets("test", [Target(run, folder, folder / "weights")], resources)
        record = read_record(folder / "metrics.json")
        found.append((record.final, record.history, record.digests))
    assert found[0] == found[1]
    record = read_record(tmp_path / "one" / "metrics.json")
    assert record.run == run
    assert all(point.held_out_elbo is not None for point in record.history)
    assert module.held_out_count(1500, 0.1) == 150


def test_collected_histories_stop_runs_early(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the config to the statistic, against a search through the records."""
    settings = {
        "dataset": "digits", "likelihood": "bernoulli", "epochs": 4, "network": "mlp",
        "hidden_units": 32, "hidden_layers": 1, "batch_size": 20, "learning_rate": 0.001,
        "held_out": 0.1,
    }  # fmt: skip
    axes = {"objective": ["learned", "constant"], "latent_dim": [2], "seed": [0, 1]}
    experiments = [{"name": "stopped", "settings": settings, "axes": axes}]
    tier = Tier.model_validate({"tier": "small", "experiments": experiments, "figures": []})
    layout = Layout(tmp_path / "results" / "small")
    (tmp_path / "data").symlink_to(data_root)
    monkeypatch.chdir(tmp_path)
    train_tier(tier, tmp_path)
    collect(tier, layout)
    results = load_results(layout.root)
    assert results.history[["train_elbo", "held_out_elbo"]].notna().all(axis=None)
    arguments: dict[str, object] = {"of": "constant", "minus": "learned", "n": "low"}
    for choose, sign in ((max, 1), (min, -1)):
        # With the other sign, as if training lowered the held-out bound: the first epoch is best.
        results.history["held_out_elbo"] *= sign
        expected = []
        for seed in (0, 1):
            bounds = []
            for objective in ("constant", "learned"):
                folder = Path(f"objective~{objective}/latent_dim~2/seed~{seed}")
                history = read_record(layout.run("stopped", folder) / "metrics.json").history
                held = [point.held_out_elbo or 0.0 for point in history]
                best = history[held.index(choose(held))]
                assert best.epoch == (4 if sign > 0 else 1)
                bounds.append(best.elbo or 0.0)
            expected.append(bounds[0] - bounds[1])
        watched = Watched.of_results(results)
        assert list(compute("stopped_bound_difference", watched, arguments)[""]) == expected

"""What a CUDA device must share with the CPU; skipped, and counted, where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.settings import Settings
from vaebench.numerics.streams import normal, order
from vaebench.objectives import OBJECTIVES
from vaebench.runs.record import read_record
from vaebench.training.cuda_graph import STEPS_A_REPLAY, by_graph
from vaebench.training.loop import train
from vaebench.training.pack import Pack, init_state
from vaebench.training.step import step

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
MakeSettings = Callable[..., Settings]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_ends_at_the_same_bound_on_cuda(
    tmp_path: Path, data_root: Path, settings: MakeSettings, objective: str
) -> None:
    """Noise differs between kinds of device, so bounds agree as two seeds do, not to rounding."""
    bounds = []
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        run = settings(objective=objective, epochs=20)
        target = Target(run, folder, folder / "model.safetensors")
        resources = Resources(torch.device(device), data_root, folder / "store", save_every=5)
        assert train_targets("test", [target], resources)
        record = read_record(folder / "metrics.json")
        assert record.worker.device == device
        bounds.append(record.final.test.elbo)
    assert bounds[0] == pytest.approx(bounds[1], abs=5)


def test_initial_weights_and_data_are_the_same_on_cuda(
    settings: MakeSettings, digits: Arrays
) -> None:
    packs = [Pack.of([settings()], digits, torch.device(name)) for name in ("cpu", "cuda")]
    on_cpu, on_cuda = (init_state(pack).parameters for pack in packs)
    for name, tensor in on_cpu.items():
        assert torch.equal(tensor, on_cuda[name].cpu()), name
    assert torch.equal(packs[0].train_images, packs[1].train_images.cpu())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_replayed_steps_are_those_taken_one_by_one(
    settings: MakeSettings, digits: Arrays, objective: str, precision: str
) -> None:
    """Two whole graphs and a rest, with a step size that falls."""
    device = torch.device("cuda")
    runs = [settings(objective=objective, precision=precision, seed=seed) for seed in (0, 1, 2)]
    pack = Pack.of(runs, digits, device)
    if objective == "info-vae":
        pytest.skip("its steps draw from a stream, so they are never replayed")
    count, size, draws = 2 * STEPS_A_REPLAY + 3, runs[0].batch_size, pack.draws
    rows = order(pack.vae.seeds, 0, len(pack.train_images)).to(device)
    rows = rows.repeat(1, -(-count * size // rows.shape[1]))[:, : count * size]
    shape = (count * size * draws, pack.vae.network.latent_dim)
    noise = normal(pack.vae.seeds, "noise", 0, shape, device)
    rates = [0.001 / (k + 1) for k in range(count)]
    by_one, by_many = init_state(pack), init_state(pack)
    expected = torch.stack(
        [
            step(pack, by_one, *inputs)
            for inputs in zip(
                rows.split(size, 1),
                noise.split(size * draws, 1),
                torch.tensor(rates, device=device),
                torch.arange(count, device=device),
                strict=True,
            )
        ]
    )
    got = by_graph(pack, by_many)(rows, noise, rates, 0, lambda: False)
    assert torch.equal(got, expected)
    assert by_many.moments.step == count
    for name, tensor in by_one.parameters.items():
        assert torch.equal(by_many.parameters[name], tensor), name


def test_training_on_cuda_that_is_stopped_ends_as_one_that_is_not(
    settings: MakeSettings, digits: Arrays
) -> None:
    """It stops between two graphs, in the middle of an epoch."""
    runs = [settings(objective="bilbo", epochs=3, batch_size=20, seed=seed) for seed in (0, 1)]
    pack = Pack.of(runs, digits, torch.device("cuda"))
    whole, parts = init_state(pack), init_state(pack)
    assert train(pack, whole, lambda: False, lambda _: None)
    while not train(pack, parts, lambda: True, lambda _: None):
        assert parts.step % pack.steps_per_epoch % STEPS_A_REPLAY == 0
    assert [run[-1].objective for run in whole.history] == [
        run[-1].objective for run in parts.history
    ]
    for name, tensor in whole.parameters.items():
        assert torch.equal(parts.parameters[name], tensor), name


def test_the_noise_of_a_run_does_not_depend_on_its_pack_on_cuda() -> None:
    device = torch.device("cuda")
    together = normal([3, 4, 5], "noise", 2, (100, 2), device)
    assert torch.equal(together[1:2], normal([4], "noise", 2, (100, 2), device))

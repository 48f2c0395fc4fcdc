"""What a CUDA device must share with the CPU; skipped, and counted, where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.objectives import OBJECTIVES
from vaebench.records import read_record
from vaebench.settings import Settings
from vaebench.training.loop import Pack, begin
from vaebench.training.session import Resources, Target, train_targets

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
    on_cpu, on_cuda = (begin(pack).parameters for pack in packs)
    for name, tensor in on_cpu.items():
        assert torch.equal(tensor, on_cuda[name].cpu()), name
    assert torch.equal(packs[0].train_images, packs[1].train_images.cpu())

"""Layers in shorter numbers than float32."""

from collections.abc import Callable

import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.training.loop import train
from vaebench.training.pack import Pack, init_state

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]


def test_tf32_is_refused_where_there_is_no_cuda(settings: MakeSettings, digits: Arrays) -> None:
    with pytest.raises(UserError, match="precision tf32 needs a CUDA GPU, and this is cpu"):
        Pack.of([settings(precision="tf32")], digits, CPU)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-learned"])
def test_bfloat16_is_close_and_another_run(
    settings: MakeSettings, digits: Arrays, likelihood: str
) -> None:
    bounds = []
    for precision in ("float32", "bfloat16"):
        pack = Pack.of([settings(likelihood=likelihood, precision=precision)], digits, CPU)
        state = init_state(pack)
        assert train(pack, state, lambda: False, lambda _: None)
        assert all(tensor.dtype == torch.float32 for tensor in state.parameters.values())
        bounds.append(pack.evaluate(state.parameters, "test").elbo.item())
    assert bounds[0] != bounds[1]
    assert bounds[0] == pytest.approx(bounds[1], rel=0.05)

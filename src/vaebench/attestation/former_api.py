"""What the golden set takes from the sources that train it, under the names of each version.

Whoever renames one of these adds here how it was called before, for as long as somebody may attest
against such a version.
"""

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor


class Api(NamedTuple):
    """What the sources that are compared have in common."""

    settings: Any
    arrays: Any
    pack: Any
    init_state: Callable[..., Any]
    train: Callable[..., bool]
    final_metrics: Callable[..., Any]
    to_npz: Callable[..., bytes]
    objectives: dict[str, Any]
    sample_images: Callable[..., Tensor]
    parts: Callable[[], dict[str, list[str]]]


def load_api() -> Api:
    """From the sources that are first on the path."""
    try:
        from vaebench.experiment.settings import Settings
    except ModuleNotFoundError:
        return _api_of_flat_package()
    from vaebench.data.prepared import Arrays
    from vaebench.evaluation.arrays import to_npz
    from vaebench.objectives import OBJECTIVES
    from vaebench.quality.samples import sample_images as samples_of
    from vaebench.training.final_metrics import final_metrics
    from vaebench.training.loop import train
    from vaebench.training.pack import Pack, init_state

    def sample_images(*arguments: Any) -> Tensor:
        # Samples are measured next. A version that can imports its library for that alone.
        with suppress(ImportError):
            import_module("vaebench.quality.metrics_import").import_metrics()
        return samples_of(*arguments)

    return Api(
        *(Settings, Arrays, Pack, init_state, train, final_metrics, to_npz, OBJECTIVES),
        *(sample_images, _parts),
    )


def _parts() -> dict[str, list[str]]:
    from vaebench.likelihoods import LIKELIHOODS
    from vaebench.networks import NETWORKS
    from vaebench.objectives import OBJECTIVES
    from vaebench.runs import sources

    return {
        "core": list(sources.core()),
        "quality": [sources.quality_digest()],
        **{f"network {name}": list(sources.network_part(name)) for name in NETWORKS},
        **{f"objective {name}": list(sources.objective_part(name)) for name in OBJECTIVES},
        **{f"likelihood {name}": list(sources.likelihood_part(name)) for name in LIKELIHOODS},
    }


def _api_of_flat_package() -> Api:
    """Of sources before the package had a folder for each concern."""
    sources = import_module("vaebench.sources")
    quality = import_module("vaebench.quality.evaluate")
    pack = import_module("vaebench.training.pack")
    likelihoods = import_module("vaebench.likelihoods").LIKELIHOODS
    objectives = import_module("vaebench.objectives").OBJECTIVES

    def sample_images(
        run: Any,
        weights: dict[str, Tensor],
        prior_std: Tensor,
        shape: tuple[int, ...],
        device: torch.device,
    ) -> Tensor:
        with TemporaryDirectory() as name:
            folder = Path(name)
            save_file(weights, folder / "weights")
            np.savez(folder / "arrays.npz", prior_std=prior_std.numpy())
            target = quality.EvaluationTarget(folder, folder / "weights", folder / "evaluation")
            images = SimpleNamespace(test_images=np.zeros(shape, np.uint8))
            result: Tensor = quality.sample(target, SimpleNamespace(run=run), images, device)
            return result

    def parts() -> dict[str, list[str]]:
        digest, folder = sources.module_digest, sources.PACKAGE
        return {
            "core": [f"{module} {digest(folder / module)}" for module in sources.CORE],
            "quality": [sources.quality_digest()],
            **{
                f"network {name}": [f"network {digest(folder / 'models' / f'{name}.py')}"]
                for name in import_module("vaebench.models").NETWORKS
            },
            **{
                f"objective {name}": [f"objective {sources.function_digest(one.bound)}"]
                for name, one in objectives.items()
            },
            **{
                f"likelihood {name}": [f"likelihood {sources.function_digest(one.function)}"]
                for name, one in likelihoods.items()
            },
        }

    return Api(
        import_module("vaebench.settings").Settings,
        import_module("vaebench.data.prepared").Arrays,
        pack.Pack,
        pack.begin,
        import_module("vaebench.training.loop").advance,
        import_module("vaebench.training.finish").measure,
        import_module("vaebench.evaluation.arrays").to_npz,
        *(objectives, sample_images, parts),
    )

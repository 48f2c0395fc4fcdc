"""A reproducible benchmark of variational auto-encoder objectives, and the use of trained models.

    import vaebench

    run = vaebench.train({"dataset": "digits", "objective": "bilbo", "likelihood": "bernoulli",
                          "latent_dim": 2, "epochs": 20, "batch_size": 50})
    codes = run.encode(images)          # means and standard deviations of q(z|x)
    pictures = run.sample(16)           # in [0, 1]

`load_run` opens a run that was trained before, `load_results` the tables of a tier, `load_data` a
dataset. Names are imported when they are first used: `import vaebench` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaebench.api.datasets import load_data
    from vaebench.api.results import load_results
    from vaebench.api.run import Codes, TrainedRun, load_run
    from vaebench.api.training import train
    from vaebench.core.batch import Batch
    from vaebench.data.registry import dataset
    from vaebench.errors import UserError
    from vaebench.experiment.plugins import load_plugins
    from vaebench.experiment.settings import Settings
    from vaebench.likelihoods import batch_variance, likelihood
    from vaebench.networks import network
    from vaebench.objectives import objective
    from vaebench.parameters import Parameter
    from vaebench.results.intervals import Estimate, estimate

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Codes",
    "Estimate",
    "Parameter",
    "Settings",
    "TrainedRun",
    "UserError",
    "batch_variance",
    "dataset",
    "estimate",
    "likelihood",
    "load_data",
    "load_plugins",
    "load_results",
    "load_run",
    "network",
    "objective",
    "train",
]

_PLACES = {
    "Batch": "core.batch",
    "Parameter": "parameters",
    "dataset": "data.registry",
    "load_plugins": "experiment.plugins",
    "network": "networks",
    "Codes": "api.run",
    "Estimate": "results.intervals",
    "Settings": "experiment.settings",
    "TrainedRun": "api.run",
    "UserError": "errors",
    "batch_variance": "likelihoods",
    "estimate": "results.intervals",
    "likelihood": "likelihoods",
    "load_data": "api.datasets",
    "load_results": "api.results",
    "load_run": "api.run",
    "objective": "objectives",
    "train": "api.training",
}
"""The module below this package that defines each public name."""


if not TYPE_CHECKING:  # Checkers of types know the names from the imports above, and no others.

    def __getattr__(name: str) -> Any:
        """A public name, imported now (PEP 562)."""
        if name not in _PLACES:
            raise AttributeError(f"module 'vaebench' has no attribute '{name}'")
        return getattr(import_module(f"vaebench.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""What is measured on a pack when its training is complete."""

from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import Tensor

from vaebench.data.prepared import Arrays
from vaebench.evaluation.arrays import run_arrays
from vaebench.records import Final, HeldOutMetrics, SetMetrics, finite
from vaebench.training.loop import Pack, TrainingState


class Measured(NamedTuple):
    """A run's final numbers, and the arrays that figures are drawn from."""

    final: Final
    arrays: dict[str, NDArray[Any]]


def measure(pack: Pack, state: TrainingState, data: Arrays) -> list[Measured]:
    """Evaluate every run of a trained pack on the training and the test set.

    The bounds of a run that diverged are null: whatever its weights give after a non-finite loss
    is no result of the objective.
    """
    train = pack.evaluate(state.parameters, "train")
    test = pack.evaluate(state.parameters, "test")
    frozen = test.elbo_with_prior(train.prior_variance)
    arrays = run_arrays(
        pack.network,
        pack.likelihood,
        state.parameters,
        pack.seeds,
        train,
        test,
        data.test_images.shape[1:],
        data.test_labels,
    )

    def number(values: Tensor, k: int) -> float | None:
        return None if state.diverged[k] is not None else finite(values[k])

    return [
        Measured(
            Final(
                train=SetMetrics(
                    elbo=number(train.elbo, k),
                    rate=number(train.rate, k),
                    distortion=number(train.distortion, k),
                ),
                test=HeldOutMetrics(
                    elbo=number(test.elbo, k),
                    rate=number(test.rate, k),
                    distortion=number(test.distortion, k),
                    elbo_frozen_prior=number(frozen, k),
                    active_units=int(test.active_units[k]),
                ),
            ),
            arrays[k],
        )
        for k in range(len(pack.runs))
    ]

"""The final evaluation of a pack, after its training is complete."""

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.core.posterior import Posterior
from vaebench.core.vae import blocks, to_pixels
from vaebench.data.prepared import Arrays
from vaebench.evaluation.arrays import run_arrays
from vaebench.evaluation.elbo import Evaluation, fitted_prior
from vaebench.runs.record import Final, HeldOutMetrics, SetMetrics, finite
from vaebench.training.pack import Pack, TrainingState


class Measured(NamedTuple):
    """The final metrics of a run, and the arrays that figures are drawn from."""

    final: Final
    arrays: dict[str, NDArray[Any]]


def final_metrics(pack: Pack, state: TrainingState, data: Arrays) -> list[Measured]:
    """Evaluate every run of a trained pack on the training and the test set.

    The metrics of a diverged run are null, since its weights after a non-finite loss say nothing
    about the objective.
    """
    train = pack.evaluate(state.parameters, "train")
    test = pack.evaluate(state.parameters, "test")
    variance = _scalar_variance(pack, state, train)
    arrays = run_arrays(pack.vae, state.parameters, train, test, pack.test_images, data.test_labels)
    if pack.vae.likelihood.variance is not None and variance is not None:
        # With a T that depends on x, p(x|z) is not a normalised density. With a scalar T it is.
        train = train.with_variance(variance[:, None], pack.vae.network.predicted)
        test = test.with_variance(variance[:, None], pack.vae.network.predicted)
    on_train, on_test = _numbers(pack, train), _numbers(pack, test)
    on_test["elbo_frozen_prior"] = test.elbo_with_prior(train.prior)
    mean_image_mse = _mean_image_mse(pack)
    fitted = fitted_prior(train.posterior).sum((1, 2))
    first_batch = fitted_prior(_first(train.posterior, pack.shared.batch_size)).sum((1, 2))

    def of_run(values: dict[str, Tensor], k: int) -> dict[str, float | None]:
        diverged = state.diverged[k] is not None
        return {name: None if diverged else finite(value[k]) for name, value in values.items()}

    traces = {"fitted_prior_trace": fitted, "fitted_prior_trace_batch": first_batch}

    return [
        Measured(
            Final(
                likelihood_variance=None if variance is None else finite(variance[k]),
                **of_run(traces, k),
                train=SetMetrics.model_validate(of_run(on_train, k)),
                test=HeldOutMetrics.model_validate(
                    of_run(on_test, k)
                    | {"active_units": int(test.active_units[k]), "mean_image_mse": mean_image_mse}
                ),
            ),
            arrays[k],
        )
        for k in range(len(pack.runs))
    ]


def _first(posterior: Posterior, count: int) -> Posterior:
    """q(z|x) of the first examples."""
    return posterior.changed(lambda tensor: tensor[:, :count])


def _mean_image_mse(pack: Pack) -> float:
    """The mean squared residual of a pixel if every reconstruction is the training set's mean.

    Of a conditional model, of a hidden pixel.
    """
    mask = pack.vae.network.mask
    predicted = slice(None) if mask is None else mask.hidden.cpu()
    total = torch.zeros(pack.vae.network.pixels, dtype=torch.int64)
    for block in blocks(len(pack.train_images), pack.vae.network.images_at_once):
        total += pack.train_images[block].sum(0, dtype=torch.int64).cpu()
    mean_image = total.double() / (255 * len(pack.train_images))
    squares = 0.0
    for block in blocks(len(pack.test_images), pack.vae.network.images_at_once):
        pixels = to_pixels(pack.test_images[block].cpu())
        squares += float((pixels - mean_image)[:, predicted].square().sum())
    return squares / (len(pack.test_images) * pack.vae.network.predicted)


def _numbers(pack: Pack, on: Evaluation) -> dict[str, Tensor]:
    """The fields of `SetMetrics`, each float64 of shape [run]."""
    return {
        "objective": on.objective,
        "elbo": on.elbo,
        "elbo_data_units": on.elbo + pack.vae.log_volume(),
        "rate": on.rate,
        "distortion": on.distortion,
        "mse": pack.vae.mse(on.squared_residual),
        "information": on.information,
    }


def _scalar_variance(pack: Pack, state: TrainingState, train: Evaluation) -> Tensor | None:
    """The scalar T of p(x|z), float64 of shape [run]. None if the likelihood has no scalar T."""
    if pack.vae.likelihood.variance is not None:
        return train.squared_residual.mean(-1) / pack.vae.network.predicted
    if pack.vae.likelihood.std == "shared":
        raw = state.parameters["decoder.shared_std"].detach()[:, 0, 0]
        return softplus(raw).square().cpu().double()
    return None

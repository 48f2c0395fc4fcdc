"""A trained run: its settings, its metrics, and its model to encode, decode and sample with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vaebench.api.card import model_card
from vaebench.api.datasets import load_data
from vaebench.api.files import read_arrays, read_run, read_weights, weights_places
from vaebench.api.images import Floats, as_codes, as_pixels, check_count
from vaebench.api.measured import MeasuredEvidence, MeasuredLatent
from vaebench.api.model import Model, floats_prior
from vaebench.errors import UserError
from vaebench.evidence.density import Density, density_of
from vaebench.evidence.kept import KeptBlocks
from vaebench.evidence.method import measure
from vaebench.execution.device import choose_device
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.plans import changed
from vaebench.experiment.settings import Settings
from vaebench.latent.method import Sources
from vaebench.latent.method import measure as measure_latent
from vaebench.latent.mixture import fitted_gaussian
from vaebench.latent.report import report
from vaebench.paths import DATA
from vaebench.progress import log
from vaebench.runs.record import Final, RunRecord
from vaebench.runs.sources import accepted_sources

if TYPE_CHECKING:
    import pandas as pd

Prior = Literal["standard", "fitted", "gaussian", "aggregated"]
PRIORS: tuple[Prior, ...] = ("standard", "fitted", "gaussian", "aggregated")


class Codes(NamedTuple):
    """The Gaussians q(z|x) of N images."""

    mean: Floats
    """Shape [N, latent]."""
    std: Floats
    """Standard deviations in each dimension, shape [N, latent]."""


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A trained run: its record, and its model to encode, decode and sample with.

    It takes images as numpy arrays or torch tensors, flattened or not: uint8 from 0 to 255, or
    floats in [0, 1]. One image counts as a batch of one. It returns images as float32 in [0, 1], of
    shape [N, *image_shape]. The model applies settings such as `data_scale` itself, so do not scale
    images.
    """

    record: RunRecord
    """All of metrics.json."""
    arrays: dict[str, NDArray[Any]]
    """The content of arrays.npz, such as `samples`, see `evaluation/arrays.py`."""
    folder: Path | None
    """The folder that it was loaded from. None if it has no files."""
    model: Model | None
    """The model. None if there are no usable weights. `no_model` then says why."""
    no_model: str = ""
    data: Path = DATA
    """Its training images are looked for in `prepared/` of this folder."""

    def __repr__(self) -> str:
        """Its main settings, and its place or what it lacks."""
        run = self.settings
        names = [run.dataset, run.objective, run.likelihood, f"n = {run.latent_dim}"]
        state = [] if self.model is not None else ["no usable weights"]
        place = [] if self.folder is None else [str(self.folder)]
        return f"<TrainedRun {', '.join([*names, f'seed {run.seed}', *state, *place])}>"

    @property
    def settings(self) -> Settings:
        """The settings that it was trained with, its seed included."""
        return self.record.run

    @property
    def metrics(self) -> Final:
        """The metrics after the last step, in nats per example: `metrics.test.elbo`.

        A number is None if it is not finite or the run diverged.
        """
        return self.record.final

    @cached_property
    def history(self) -> "pd.DataFrame":
        """The metrics of the test set during training, a row for each evaluation.

        Columns: epoch, step, objective, elbo, rate, distortion (nats per example) and mse. If they
        were recorded, also train_elbo, the bound of as many training images, and held_out_elbo, the
        bound of the held-out images.
        """
        import pandas as pd

        return pd.DataFrame([point.model_dump() for point in self.record.history])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """[height, width] or [height, width, colour]."""
        return _image_shape(self.arrays)

    def encode(self, images: ArrayLike) -> Codes:
        """Means and standard deviations of q(z|x).

        Raises:
            UserError: the images have another shape, type or range, or there are no usable
                weights.
        """
        model = self._usable_model()
        mean, std = model.encode(torch.from_numpy(as_pixels(images, model.image_shape)))
        return Codes(mean.numpy(), std.numpy())

    def decode(self, z: ArrayLike) -> Floats:
        """The means of p(x|z), as images.

        Args:
            z: codes of shape [N, latent], or one of shape [latent].

        Raises:
            UserError: z has another shape or is not finite, or there are no usable weights.
        """
        model = self._usable_model()
        pixels = model.decode(torch.from_numpy(as_codes(z, model.latent_dim)))
        return pixels.numpy().reshape(-1, *model.image_shape)

    def reconstruct(self, images: ArrayLike) -> Floats:
        """The decoded posterior means of images. Errors as in `encode`.

        A conditional model predicts hidden pixels; the observed ones are those of the images.
        """
        model = self._usable_model()
        mean = torch.from_numpy(self.encode(images).mean)
        known = torch.from_numpy(as_pixels(images, model.image_shape))
        pixels = model.decode(mean, known if model.is_conditional else None)
        return pixels.numpy().reshape(-1, *model.image_shape)

    def complete(self, images: ArrayLike, draws: int = 1, seed: int = 0) -> Floats:
        """Images with their hidden pixels predicted from the observed ones, by a conditional model.

        Args:
            images: the images. Their hidden pixels are not used.
            draws: how many completions of each, with z from the prior.
            seed: of the random numbers.

        Returns:
            Shape [N, draw, *image_shape].

        Raises:
            UserError: the model is not conditional; also as in `encode`.
        """
        check_count("draws", draws, 1)
        model = self._usable_model()
        if not model.is_conditional:
            raise UserError(
                f"objective '{self.settings.objective}' models images as a whole: `complete` is "
                "for conditional objectives"
            )
        pixels = torch.from_numpy(as_pixels(images, model.image_shape))
        random = np.random.Generator(np.random.PCG64(seed))
        shape = (len(pixels) * draws, model.latent_dim)
        noise = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
        found = model.decode(noise, pixels.repeat_interleave(draws, 0))
        return found.numpy().reshape(len(pixels), draws, *model.image_shape)

    def interpolate(self, a: ArrayLike, b: ArrayLike, steps: int = 8) -> Floats:
        """Images on the straight line between the posterior means of two images.

        Args:
            a: one image. The first result is its reconstruction.
            b: one image. The last result is its reconstruction.
            steps: the number of images, 2 or more.

        Raises:
            UserError: as in `encode`; more than one image; too few steps.
        """
        check_count("steps", steps, 2)
        ends = [self.encode(image).mean for image in (a, b)]
        if any(len(end) != 1 for end in ends):
            raise UserError(f"a, b: found {' and '.join(str(len(e)) for e in ends)} images; give 1")
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return self.decode((1 - share) * ends[0] + share * ends[1])

    def sample(
        self,
        n: int,
        prior: Prior = "standard",
        seed: int = 0,
        images: ArrayLike | None = None,
    ) -> Floats:
        """Images of codes that are drawn from a prior.

        The same seed gives the same codes on every device.

        Args:
            n: the number of images.
            prior: the distribution of z.
                `standard`: N(0, I).
                `fitted`: N(0, S^2), with the S^2 of Eq. 4 on the training set. Objectives with a
                floating prior are trained with it. It also fits the codes of other objectives.
                `gaussian`: N(m, C), with mean and covariance of the aggregated posterior of the
                training set.
                `aggregated`: q(z|x) of an image x that is drawn from the training set.
            seed: the seed of the random numbers.
            images: the training images, for `gaussian` and `aggregated`, and for `fitted` if the
                run's files lack S. If None, the prepared dataset of the run in `data` is used. An
                embedded dataset needs no files.

        Raises:
            UserError: `n` or the prior is not possible, or the training images are needed and
                missing; also as in `encode`.
        """
        check_count("n", n, 1)
        if prior not in PRIORS:
            raise UserError(f"prior: found {prior!r}; give one of: {', '.join(PRIORS)}")
        model = self._usable_model()
        random = np.random.Generator(np.random.PCG64(seed))
        noise = random.standard_normal((n, model.latent_dim), dtype=np.float32)
        if prior == "standard":
            return self.decode(noise)
        if prior == "fitted":
            scale = self._fitted_scale(images)
            return self.decode(noise * scale if scale.ndim == 1 else noise @ scale.T)
        train = self._training_images(images)
        if prior == "gaussian":
            pixels = torch.from_numpy(as_pixels(train, model.image_shape))
            mean, factor = fitted_gaussian(self.density(), pixels.flatten(1))
            return self.decode(mean.float().numpy() + noise @ factor.float().numpy().T)
        chosen = random.integers(0, len(train), n)
        pixels = torch.from_numpy(as_pixels(train[chosen], model.image_shape))
        return self.decode(model.draw(pixels, torch.from_numpy(noise)))

    def density(self) -> Density:
        """p(x, z) and q(z|x) of the run, for your own measures.

        Raises:
            UserError: there are no usable weights, or the model is conditional.
        """
        model = self._usable_model()
        self.settings.refuse_conditional("the evidence log p(x)")
        weights = {name: tensor[0] for name, tensor in model.parameters.items()}
        return density_of(self.record, weights, self.arrays, model.device)

    def evidence(self, images: ArrayLike | None = None, **plan: Any) -> MeasuredEvidence:
        """Measure the log evidence log p(x) and its gap to the evidence lower bound.

        With one or two latent dimensions it is exact, from a grid. With more, it is estimated by
        annealed importance sampling.

        Args:
            images: images to measure, or how many test images of the run's dataset in `data`. If
                None, as many as `vaebench evidence` measures.
            **plan: other options of `vaebench evidence`, such as `temperatures=50`.

        Raises:
            UserError: an option is unknown or not possible, the images are needed and missing, or
                there are no usable weights.
        """
        density = self.density()
        if images is None or isinstance(images, int):
            count, images = images, load_data(self.settings.dataset, self.data).test_images
            pixels = as_pixels(images, self.image_shape)
        else:
            pixels = as_pixels(images, self.image_shape)
            count = len(pixels)
        chosen = changed(EvidencePlan(), {"images": count} | plan)
        label = "evidence" if self.folder is None else f"evidence {self.folder}"
        record, arrays = measure(density, torch.from_numpy(pixels), chosen, KeptBlocks(None, label))
        return MeasuredEvidence(record, arrays)

    def latent(self, **plan: Any) -> MeasuredLatent:
        """Measure how well the codes of all training images match the prior of the run.

        The images are those of the run's dataset in `data`.

        Args:
            **plan: options of `vaebench latent`, such as `samples=5000`. Samples are not measured
                if they are not asked for, since that trains a classifier of the dataset.

        Raises:
            UserError: an option is unknown or not possible, the images are not there, or there are
                no usable weights.
        """
        density, dataset = self.density(), self.settings.dataset
        chosen = changed(LatentPlan(samples=0), plan)
        sources = Sources(dataset, self.data, None, load_data(dataset, self.data))
        record, arrays = measure_latent(density, sources, chosen)
        return MeasuredLatent(report(record), record, arrays)

    def model_card(
        self, intended_use: str = "", terms_of_data: str = "", licence: str = "", contact: str = ""
    ) -> str:
        """A model card in Markdown, to be put beside the weights.

        It has the settings, the data, the metrics, known limits and the digests of the run.

        Args:
            intended_use: what the model is for, and what it is not for.
            terms_of_data: under which terms the training images may be used.
            licence: of the weights.
            contact: whom to ask.

        Returns:
            The text. What is not given is marked as missing.
        """
        return model_card(
            self.record, self.image_shape, intended_use, terms_of_data, licence, contact
        )

    def _fitted_scale(self, images: ArrayLike | None) -> Floats:
        """S of Eq. 4 on the training set, shape [latent]: as stored, or else computed now.

        For a prior with a full S^2 it is the Cholesky factor of S^2, shape [latent, latent].
        """
        if "prior_cholesky" in self.arrays:
            factor: Floats = self.arrays["prior_cholesky"]
            return factor
        # `prior_std` is that of the prior of training, which is 1 if it did not float.
        stored = "prior_std" if floats_prior(self.settings) else "fitted_prior_std"
        if stored in self.arrays:
            std: Floats = self.arrays[stored]
        else:
            codes = self.encode(self._training_images(images))
            squares = codes.mean.astype(np.float64) ** 2 + codes.std.astype(np.float64) ** 2
            std = np.sqrt(squares.mean(0)).astype(np.float32)
        return std

    def _training_images(self, images: ArrayLike | None) -> NDArray[Any]:
        if images is None:
            return load_data(self.settings.dataset, self.data).train_images
        return as_pixels(images, self._usable_model().image_shape)

    def _usable_model(self) -> Model:
        if self.model is None:
            raise UserError(self.no_model)
        return self.model


def load_run(
    path: str | PathLike[str],
    *,
    device: str = "auto",
    data: str | PathLike[str] = DATA,
) -> TrainedRun:
    """Open a finished run.

    A run without weights, or one that diverged, can be opened too: it has settings, metrics and
    history. A warning is logged if other code trained the run than is installed, unless an
    attestation says that both compute the same.

    Args:
        path: the folder with its metrics.json. `vaebench train` wrote it, or it is in
            results/TIER/runs/; the weights are then looked for in results/TIER/weights/.
        device: auto (a GPU if there is one), cpu, cuda or mps.
        data: training images are looked for in `prepared/` of this folder, if they are needed.

    Raises:
        UserError: there is no run, its files are damaged or belong to other settings, or the device
            is not available.
    """
    folder = Path(path)
    record, chosen = read_run(folder), choose_device(device)
    if record.digests.sources not in accepted_sources(record.run):
        log.warning(
            f"{folder} was trained by other sources than those installed here, and no attestation "
            "says that both compute the same: the results here may differ from its metrics"
        )
    arrays = read_arrays(folder, record)
    places = weights_places(folder)
    there = next((place for place in places if place.exists()), None)
    model, reason = None, ""
    if record.status == "diverged":
        reason = f"the run diverged at step {record.diverged_step}: its weights say nothing"
    elif there is None:
        reason = (
            f"the weights of the run are missing: there is no {' and no '.join(map(str, places))}. "
            "Without them it has metrics, and no model. Train it, or get its weights"
        )
    else:
        weights = read_weights(there, record)
        model = Model.of(record.run, weights, _image_shape(arrays), chosen)
    return TrainedRun(record, arrays, folder, model, reason, Path(data))


def _image_shape(arrays: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """The shape of an image, which every run has in its samples."""
    return arrays["samples"].shape[1:]

"""A model card: what a trained model is, how it was made, and what it was not tested for."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaebench import __version__
from vaebench.data.registry import DATASETS
from vaebench.experiment.plugins import registering
from vaebench.experiment.settings import Settings, format_value
from vaebench.likelihoods import LIKELIHOODS
from vaebench.local_imports import with_imported
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.parameters import without_partial
from vaebench.plain_text import escape
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.record import RunRecord

METRICS = ("elbo", "rate", "distortion", "mse")
MISSING = "*to be filled in*"
BINARY = ("binarized-mnist", "binarized-mnist-dynamic", "binarized-fashion-mnist-dynamic")
"""Datasets whose test images are black and white, so that Bernoulli bounds are of likelihoods."""


def model_card(
    record: RunRecord,
    image_shape: Sequence[int],
    intended_use: str = "",
    terms_of_data: str = "",
    licence: str = "",
    contact: str = "",
) -> str:
    """The card of a run as Markdown, with the header that model hubs read.

    Args:
        record: the record of the run.
        image_shape: [height, width] or [height, width, colour].
        intended_use: what the model is for, and what it is not for.
        terms_of_data: under which terms the training images may be used.
        licence: of the weights.
        contact: whom to ask.

    Returns:
        The text. What is not given is marked as missing.
    """
    run = record.run
    plugins = _plugins(run)
    needed = [file for plugin in plugins for file in with_imported(plugin)]
    environment = Environment(
        loader=PackageLoader("vaebench.api"),
        autoescape=False,  # for Markdown, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = escape
    dataset = DATASETS.get(run.dataset)
    digests = record.digests.model_dump(exclude={"settings", "arrays"}, exclude_none=True)
    return environment.get_template("model_card.md").render(
        name=f"{run.dataset}, {run.objective}, n = {run.latent_dim}, seed {run.seed}",
        record=record,
        run=run,
        version=__version__,
        image_shape=image_shape,
        plugins=[file.name for file in plugins],
        beside=[file.name for file in dict.fromkeys(needed)],
        conditional=run.is_conditional,
        settings={name: format_value(value) for name, value in run.given().items()},
        data=run.dataset if dataset is None else f"{run.dataset}, {dataset.description}",
        metrics=list(_metrics(record)),
        limits=list(_limits(record)),
        digests=digests,
        intended_use=intended_use,
        terms_of_data=terms_of_data,
        licence=licence,
        contact=contact,
        missing=MISSING,
    )


def _plugins(run: Settings) -> list[Path]:
    """The files outside this package that register parts of a run."""
    found = []
    parts: tuple[tuple[dict[str, Any], str, Any], ...] = (
        (OBJECTIVES, run.objective, OBJECTIVES[run.objective].bound),
        (LIKELIHOODS, run.likelihood, LIKELIHOODS[run.likelihood].function),
        (NETWORKS, run.network, NETWORKS[run.network].net),
    )
    for registry, name, part in parts:
        file = registering(registry, name)
        if file is None and part is not None:
            # A module that was imported, or this package's own.
            file = Path(inspect.getfile(without_partial(part)))
        if file is not None and not file.is_relative_to(PACKAGE):
            found.append(file)
    return list(dict.fromkeys(found))


def _metrics(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    for name in METRICS:
        values = [getattr(part, name) for part in (record.final.train, record.final.test)]
        train, test = ("–" if value is None else f"{value:.4g}" for value in values)
        yield name, train, test


def _limits(record: RunRecord) -> Iterator[str]:
    """What the record says about where the numbers and the model cannot be trusted."""
    run, final = record.run, record.final
    yield (
        "One run says little about its objective. Compare means over seeds, with their intervals."
    )
    yield f"It was tested on the test set of `{run.dataset}` only, not on other images."
    if run.likelihood == "bernoulli" and run.dataset not in BINARY:
        yield (
            "A Bernoulli likelihood gives grey values no probability. The bound is made from the "
            "cross entropy. It compares runs with each other, and is not a log-likelihood."
        )
    if LIKELIHOODS[run.likelihood].variance is not None and final.likelihood_variance is not None:
        yield (
            "The likelihood's variance T follows from a batch. The bound is that of one scalar T = "
            f"{final.likelihood_variance:.4g}, the mean squared residual of the training set."
        )
    dataset = DATASETS.get(run.dataset)
    if dataset is not None and not dataset.is_public:
        yield "The training images may not be published. Check whether these weights may be."

"""The methods of an experiment for pages: objectives with whatever else varies but the seed."""

from collections.abc import Iterator

import pandas as pd

from vaebench.experiment.grid import Experiment
from vaebench.experiment.settings import format_value
from vaebench.results.read import select, varying


def methods_of(experiment: Experiment, runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name of each method of these runs, such as `beta-vae, beta 4`, with its runs."""
    axes = varying(experiment)
    kinds = runs[axes].astype(object).drop_duplicates()
    for kind in kinds.itertuples(index=False):
        settings = {k: None if pd.isna(v) else v for k, v in zip(axes, kind, strict=True)}
        texts = [
            str(value) if axis == "objective" else f"{axis} {format_value(value)}"
            for axis, value in settings.items()
            if value is not None
        ]
        yield ", ".join(texts), select(runs, **settings)

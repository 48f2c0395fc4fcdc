"""Reads the config of a tier that somebody else made, without running anything that it names."""

from math import prod
from pathlib import Path
from typing import Any

from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, load_tier
from vaebench.experiment.unasked import LARGEST_CONFIG, refuse_unasked_plugins
from vaebench.yaml_text import read_yaml

MOST_RUNS = 100_000


def received_tier(path: Path) -> Tier:
    """The tier of a config that somebody else wrote. It loads no plugin.

    Raises:
        UserError: the config is refused, names a plugin that is not loaded yet, or plans more than
            `MOST_RUNS` runs.
    """
    if path.stat().st_size > LARGEST_CONFIG:
        raise UserError(f"{path} is refused: it has more than {LARGEST_CONFIG:,} bytes")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise UserError(f"{path} is refused: it is not the config of a tier")
    refuse_unasked_plugins(values, path)
    if not isinstance(values.get("claims", []), list):
        raise UserError(f"{path} is refused: claims: a finished tier has the list itself here")
    if (runs := _planned(values)) > MOST_RUNS:
        raise UserError(f"{path} is refused: it plans {runs:,} runs, more than {MOST_RUNS:,}")
    return load_tier(path)


def _planned(values: dict[str, Any]) -> int:
    """An upper limit on the number of runs, before anything is made for each of them."""
    experiments = values.get("experiments")
    axes = [
        experiment["axes"].values()
        for experiment in (experiments if isinstance(experiments, list) else [])
        if isinstance(experiment, dict) and isinstance(experiment.get("axes"), dict)
    ]
    return sum(
        prod(len(one) for one in lists if isinstance(one, list)) for lists in map(list, axes)
    )

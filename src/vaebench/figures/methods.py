"""The methods that a figure compares: kinds of runs that differ in more than seed and n."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vaebench.figures.style import (
    PALETTE,
    listed,
    number_word,
    objective_colours,
    objective_name,
    setting_text,
)
from vaebench.results.read import Selection, select

EQUATIONS = {
    "learned": "learned (Eq. 1)",
    "constant": "constant with the prior of Eq. 4 (Eq. 2)",
    "bilbo": "BILBO (Eq. 24)",
}
"""How captions call the paper's ways to determine the posterior variance."""


@dataclass(frozen=True)
class Method:
    """An objective with the other settings in which the runs of a figure differ."""

    settings: Mapping[str, Any]
    """The values that tell its runs from those of other methods; None where a run takes none."""
    name: str
    objective: str
    colour: tuple[float, ...]

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Its runs among these."""
        return select(rows, **self.settings)


def methods(shown: Selection, without: Sequence[str] = ()) -> list[Method]:
    """The methods of the planned runs, in the order of the config.

    Args:
        shown: the runs.
        without: axes that the figure tells apart in another way.
    """
    ignored = {"latent_dim", "objective", *without}
    others = [axis for axis in shown.varying if axis not in ignored]
    columns = ["objective", *others]
    kinds = shown.planned[columns].astype(object).drop_duplicates().itertuples(index=False)
    colours = objective_colours(list(shown.planned["objective"]))
    found = []
    for place, kind in enumerate(kinds):
        given = dict(zip(columns, kind, strict=True))
        settings: dict[str, Any] = {k: None if pd.isna(v) else v for k, v in given.items()}
        objective = str(settings["objective"])
        texts = [setting_text(k, settings[k]) for k in others if settings[k] is not None]
        if "objective" in shown.varying or not texts:
            texts.insert(0, objective_name(objective))
        colour = PALETTE[place % len(PALETTE)] if others else colours[objective]
        found.append(Method(settings, ", ".join(texts), objective, colour))
    return found


def is_papers(compared: Sequence[Method]) -> bool:
    """Whether these are ways of the paper to determine the posterior variance, and nothing else."""
    objectives = [method.objective for method in compared]
    return set(objectives) <= EQUATIONS.keys() and len(set(objectives)) == len(objectives)


def title_of(compared: Sequence[Method]) -> str:
    """How a title calls them: `Three methods`, or the name of the only one."""
    return f"{number_word(len(compared))} methods" if len(compared) > 1 else compared[0].name


def caption_of(compared: Sequence[Method]) -> str:
    """How a caption calls them, with the paper's equations if they are the paper's."""
    many = len(compared) > 1
    if is_papers(compared):
        count = f"{number_word(len(compared))} methods" if many else "A method"
        names = listed([EQUATIONS[method.objective] for method in compared])
        return f"{count} for determining the posterior variance: {names}"
    names = listed([method.name for method in compared])
    return f"{number_word(len(compared))} methods: {names}" if many else names

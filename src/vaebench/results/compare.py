"""Paired differences of an experiment's runs to the baseline on the compared axis."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vaebench.experiment.comparison import INCOMPARABLE, Comparison
from vaebench.likelihoods import data_scales
from vaebench.results.intervals import Estimate, estimate
from vaebench.results.read import select


def paired_difference(
    runs: pd.DataFrame, comparison: Comparison, settings: Mapping[str, Any]
) -> Estimate | None:
    """The bound of runs minus that of the baseline's, over the seeds that both have.

    Args:
        runs: the trained runs of the experiment.
        comparison: what the experiment compares.
        settings: the values of the runs on all axes but the seed. The baseline's runs have the same
            values but on the compared axis, and on axes that they do not take.

    Returns:
        The mean difference in nats. None if the runs are the baseline's, have no value on the axis,
        share no seed with the baseline's, or have bounds that cannot be compared with theirs.
    """
    axis, value = comparison.axis, settings[comparison.axis]
    if pd.isna(value) or value == comparison.baseline:
        return None
    group = select(runs, **settings)
    baseline = select(runs, **{axis: comparison.baseline})
    # An axis that the baseline does not take, such as posterior_std, sets no runs of it apart.
    taken = {k: v for k, v in settings.items() if k in baseline and baseline[k].notna().any()}
    baseline = select(baseline, **(taken | {axis: comparison.baseline}))
    if not _are_comparable(group, baseline, axis):
        return None
    ours, theirs = (rows.set_index("seed")[comparison.bound] for rows in (group, baseline))
    shared = ours.index.intersection(theirs.index)
    if shared.empty or theirs.index.has_duplicates:
        return None
    return estimate((ours[shared] - theirs[shared]).astype(float).tolist())


def _are_comparable(group: pd.DataFrame, baseline: pd.DataFrame, axis: str) -> bool:
    """Whether the bounds are of the same data in the same unit."""
    same = sorted(INCOMPARABLE | data_scales())
    names = [name for name in same if name != axis and name in group]
    kinds = (rows[names].astype(str).drop_duplicates() for rows in (group, baseline))
    return next(kinds).merge(next(kinds)).shape[0] == 1 if names else True

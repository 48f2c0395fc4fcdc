"""What an experiment compares: the axis whose values are set against one of them, the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaebench.experiment.settings import AxisValue, format_value
from vaebench.likelihoods import data_scales

INCOMPARABLE = frozenset({"dataset", "likelihood", "observed"})
"""Axes along which bounds are not compared: they are log densities of other data, of other
pixels, or in another unit. Along a scale of the data they are, as bounds of the
unscaled data."""
NOT_COMPARED = INCOMPARABLE | {"seed", "latent_dim"}
"""Axes that are never the compared one. Values are compared at each of the latent dimensions."""


@dataclass(frozen=True)
class Comparison:
    """The axis that is compared, and the value that its other values are compared with."""

    axis: str
    baseline: AxisValue

    @property
    def bound(self) -> str:
        """The column of the collected table whose values are compared."""
        return "test_elbo_data_units" if self.axis in data_scales() else "test_elbo"

    def name(self, value: AxisValue) -> str:
        """How a value is called: words by themselves, numbers with their axis (`tau = 0.2`)."""
        return value if isinstance(value, str) else f"{self.axis} = {format_value(value)}"


def comparison_of(
    axes: Mapping[str, Sequence[AxisValue]], baseline: AxisValue | None
) -> Comparison | None:
    """What an experiment with these axes compares. None if it compares nothing.

    The compared axis is `objective` if that varies, otherwise the first that does, in the order of
    the config, without those in `NOT_COMPARED`. A given baseline also decides the axis: the first
    of these that has the value. If none is given, it is the first value of the axis.

    Args:
        axes: the axes with their values.
        baseline: the experiment's `baseline`, None if it is not given.

    Raises:
        ValueError: no axis that can be compared has the baseline.
    """
    varying = [axis for axis, values in axes.items() if len(values) > 1]
    candidates = [axis for axis in varying if axis not in NOT_COMPARED]
    candidates.sort(key=lambda axis: axis != "objective")
    if baseline is None:
        return Comparison(candidates[0], axes[candidates[0]][0]) if candidates else None
    for axis in candidates:
        if baseline in axes[axis]:
            return Comparison(axis, baseline)
    known = "; ".join(f"{axis} {list(axes[axis])}" for axis in candidates)
    raise ValueError(
        f"baseline: {baseline!r} is no value of an axis that is compared: "
        f"{known or 'this experiment has none'}"
    )

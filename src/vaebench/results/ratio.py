"""Runs with a constant posterior on scaled codes, which are those with the ratio of the two.

With a std sigma for all x and a floating prior (`constant` and `bilbo`), the objective depends on
sigma and on the factor c on the codes through sigma / c alone. With the encoder's output m(x), the
code is z = c m(x) + sigma eps. The decoder sees z / c = m(x) + (sigma / c) eps, and the rate is
1/2 sum log(1 + E m^2 / (sigma / c)^2). So a run with (sigma, c) is the run with (sigma / c, 1), up
to rounding, and to the bit if c is a power of two. `learned` is no such run: the outputs of which
it makes its stds start at the same values for every c.
"""

from collections.abc import Iterable

ROUNDING = 0.005
"""How far a ratio may be from that of the run that stands for it, relative to it. In half decades
with three digits, 0.1 / 0.316 is 0.3165, for which the run with 0.316 stands."""


def with_ratio(stds: Iterable[float], std: float, scale: float) -> float | None:
    """The std, among those of runs at c = 1, whose run is that with `std` at c = `scale`.

    Args:
        stds: the stds of the runs.
        std: sigma.
        scale: c.

    Returns:
        The one nearest to `std / scale`. None if none of them is within `ROUNDING` of it.
    """
    ratio = std / scale
    nearest = min(stds, key=lambda known: abs(known - ratio), default=None)
    if nearest is None or abs(nearest - ratio) > ROUNDING * ratio:
        return None
    return nearest

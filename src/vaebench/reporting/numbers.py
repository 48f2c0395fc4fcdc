"""How pages write numbers: as many decimals as their interval justifies."""

from collections.abc import Sequence
from math import floor, isfinite, log10

MOST = 6
"""The largest number of decimals."""
NONE = "–"
"""Stands where there is no number."""


def decimals(low: float | None, high: float | None, limits: Sequence[float] = ()) -> int:
    """How many decimals a value with this interval is written with.

    Half of the interval's width gets one significant digit, and a second one if the first is below
    5. There are more decimals where an end of the interval would otherwise be rounded onto a limit,
    or past it, so that what is written agrees with the verdict.

    Args:
        low: the lower end. None or not finite if there is no interval.
        high: the upper end.
        limits: the limits that the interval is compared with.
    """
    if low is None or high is None or not isfinite(low) or not isfinite(high):
        return 2
    half = (high - low) / 2
    return enough(_digits(half) if half > 0 else 2, low, high, limits)


def enough(digits: int, low: float, high: float, limits: Sequence[float]) -> int:
    """So many decimals, or more where an end of the interval would be rounded onto a limit."""
    while digits < MOST and any(
        _side(round(end, digits), limit) != _side(end, limit)
        for end in (low, high)
        for limit in limits
    ):
        digits += 1
    return digits


def number(value: float | None, digits: int) -> str:
    """A number with a minus sign and this many decimals; a dash where there is none."""
    if value is None or not isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    is_zero = not text.strip("-0.")
    return (text.lstrip("-") if is_zero else text).replace("-", "−")


def interval(low: float | None, high: float | None, digits: int) -> str:
    """An interval in brackets. Empty where there is none."""
    if low is None or high is None or not isfinite(low) or not isfinite(high):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def significant(value: float | None, digits: int = 3) -> str:
    """A number without an interval, with so many significant digits and no exponent if possible."""
    if value is None or not isfinite(value):
        return NONE
    if value == 0:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    return number(value, min(max(places, 0), MOST))


def _digits(half: float) -> int:
    place: int = floor(log10(half))
    return min(max(-place + (half / 10.0**place < 5), 0), MOST)


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)

"""Corrections of p-values for the number of tests."""

from collections.abc import Sequence
from math import isfinite


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm (1979): the smallest levels at which each test is rejected.

    They bound the chance of any false rejection among all tests. NaN stands for no test. It stays
    NaN, and counts as a test.
    """
    count, running = len(p_values), 0.0
    adjusted = [float("nan")] * count
    known = sorted((p, place) for place, p in enumerate(p_values) if isfinite(p))
    for rank, (p, place) in enumerate(known):
        running = max(running, min(1.0, (count - rank) * p))
        adjusted[place] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Benjamini and Hochberg (1995).

    They bound the share of false ones among the rejections.
    """
    count, running = len(p_values), 1.0
    adjusted = [0.0] * count
    order = sorted(range(count), key=lambda place: p_values[place], reverse=True)
    for rank, place in enumerate(order):
        running = min(running, count / (count - rank) * p_values[place])
        adjusted[place] = running
    return adjusted

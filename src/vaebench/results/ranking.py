"""A ranking of methods by values over seeds that says which of them cannot be told apart."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import combinations
from math import isnan, sqrt
from string import ascii_lowercase

import pandas as pd
from scipy.special import stdtr

from vaebench.results.intervals import CONFIDENCE, Estimate, estimate
from vaebench.results.multiplicity import holm


@dataclass(frozen=True)
class Place:
    """Where a method stands."""

    method: str
    mean: Estimate
    """Over its seeds."""
    first: int | None
    """The best rank that it can have: 1 plus the number of methods that are better. None if it has
    no rank, since one of its values is not finite or it shares no two seeds with another."""
    last: int | None
    """The worst rank: the number of methods, less those that it is better than."""
    letters: str
    """Methods that share a letter cannot be told apart, and no others (a compact letter display:
    Piepho, 2004). Empty without a rank."""

    @property
    def rank(self) -> str:
        """Such as `1`, or `2-4`. Empty without a rank."""
        if self.first is None:
            return ""
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


def ranking(values: Mapping[str, "pd.Series[float]"]) -> list[Place]:
    """Rank methods by the mean of a number of which more is better.

    A method is better than another if a two-sided t-test of their differences at shared seeds says
    so at the level of 5%, corrected by Holm (1979) for the number of pairs. So with a probability
    of 95% or more no pair is in the wrong order, if differences are normal.

    Args:
        values: of each method, indexed by seed. NaN for a run that diverged.

    Returns:
        By falling mean. Methods without a rank come last.
    """
    means = {name: estimate(series.astype(float).tolist()) for name, series in values.items()}
    ranked = [name for name in values if not isnan(means[name].mean)]
    pairs = list(combinations(ranked, 2))
    tests = [_difference(values[a], values[b]) for a, b in pairs]
    adjusted = holm([p for _, p in tests])
    better: dict[str, set[str]] = {name: set() for name in ranked}
    worse: dict[str, set[str]] = {name: set() for name in ranked}
    tested: set[str] = set()
    for pair, (mean, p), corrected in zip(pairs, tests, adjusted, strict=True):
        winner, loser = pair if mean > 0 else pair[::-1]
        if not isnan(p):
            tested.update(pair)
        if corrected <= 1 - CONFIDENCE:
            worse[winner].add(loser)
            better[loser].add(winner)
    order = sorted(tested, key=lambda name: -means[name].mean)
    letters = _letters({one: tested - better[one] - worse[one] - {one} for one in order})

    def place(name: str) -> Place:
        if name not in tested:
            return Place(name, means[name], None, None, "")
        first, last = 1 + len(better[name]), len(ranked) - len(worse[name])
        return Place(name, means[name], first, last, letters[name])

    known = sorted(ranked, key=lambda name: -means[name].mean)
    return [place(name) for name in [*known, *(name for name in values if name not in ranked)]]


def _letters(alike: Mapping[str, Set[str]]) -> dict[str, str]:
    """A letter for each largest group of names that are all alike.

    Args:
        alike: of each name, in the order of the letters, the others that it is like.
    """
    order = list(alike)
    groups = sorted(sorted(map(order.index, group)) for group in _cliques(set(), set(order), alike))
    return {
        name: "".join(_letter(k) for k, group in enumerate(groups) if place in group)
        for place, name in enumerate(order)
    }


def _cliques(
    group: Set[str], further: Set[str], alike: Mapping[str, Set[str]], done: Set[str] = frozenset()
) -> Iterator[Set[str]]:
    """The largest groups with all of `group` and some of `further` (Bron and Kerbosch, 1973)."""
    if not further and not done:
        yield group
    further, done = set(further), set(done)
    for name in sorted(further):
        yield from _cliques(group | {name}, further & alike[name], alike, done & alike[name])
        further.remove(name)
        done.add(name)


def _letter(k: int) -> str:
    return ascii_lowercase[k] if k < len(ascii_lowercase) else f"({k})"


def _difference(a: "pd.Series[float]", b: "pd.Series[float]") -> tuple[float, float]:
    """The mean difference at shared seeds, and its two-sided p-value: NaN if there is no test."""
    found = estimate((a - b).dropna().astype(float).tolist())
    if found.count < 2 or found.std == 0:
        # Equal numbers at all seeds are no sign of an order unless they differ from 0.
        decided = found.count >= 2 and found.mean != 0
        return found.mean, 0.0 if decided else 1.0 if found.count >= 2 else float("nan")
    t = found.mean / (found.std / sqrt(found.count))
    return found.mean, 2 * float(stdtr(found.count - 1, -abs(t)))

"""Small drawings of intervals against limits, as SVG within the page. They need no script."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

WIDTH, HEIGHT = 220, 26
"""Of a drawing, in its own units."""
MARGIN = 8
_WORDS = re.compile(r"(above|below|within ±|exactly)\s*(-?[\d.]+(?:e[-+]?\d+)?)$")
_PRINTED = re.compile(r"(-?[\d.]+(?:e[-+]?\d+)?) in the prediction$")


@dataclass(frozen=True)
class Region:
    """Where an interval has to lie: between `low` and `high`, either of which may be missing."""

    low: float | None
    high: float | None

    @property
    def limits(self) -> tuple[float, ...]:
        """The finite ends, without repetition."""
        ends = [end for end in (self.low, self.high) if end is not None]
        return tuple(dict.fromkeys(ends))


def region_of(expects: str) -> Region:
    """The region that a claim's criterion names, as the ledger writes it; without ends if none."""
    if found := _WORDS.match(expects):
        limit = float(found[2])
        return {
            "above": Region(limit, None),
            "below": Region(None, limit),
            "within ±": Region(-limit, limit),
            "exactly": Region(limit, limit),
        }[found[1]]
    if found := _PRINTED.match(expects):
        return Region(float(found[1]), float(found[1]))
    return Region(None, None)


def interval_drawing(
    value: float | None, low: float | None, high: float | None, region: Region, label: str
) -> Markup:
    """An interval with its value, before the region where the claim wants it.

    Args:
        value: the estimate; without it nothing is drawn.
        low: the lower end of the interval, None if there is none.
        high: the upper end.
        region: where the interval has to lie. Its limits are lines, the region is shaded.
        label: what the drawing says, for those who do not see it.
    """
    if value is None or not isfinite(value):
        return Markup()
    ends = [x for x in (value, low, high, *region.limits) if x is not None and isfinite(x)]
    span = max(ends) - min(ends) or max(abs(value), 1.0)
    start, stop = min(ends) - 0.12 * span, max(ends) + 0.12 * span

    def place(x: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (x - start) / (stop - start)

    parts = [Markup('<line class="axis" x1="0" x2="{}" y1="13" y2="13"/>').format(WIDTH)]
    if region.limits and region.low != region.high:
        left = 0.0 if region.low is None else place(region.low)
        right = float(WIDTH) if region.high is None else place(region.high)
        shape = Markup('<rect class="region" x="{}" width="{}" y="1" height="24"/>')
        parts.insert(0, shape.format(_short(left), _short(right - left)))
    for limit in region.limits:
        line = Markup('<line class="limit" x1="{0}" x2="{0}" y1="1" y2="25"/>')
        parts.append(line.format(_short(place(limit))))
    if low is not None and high is not None:
        bar = Markup('<line class="bar" x1="{}" x2="{}" y1="13" y2="13"/>')
        parts.append(bar.format(_short(place(low)), _short(place(high))))
    parts.append(Markup('<circle cx="{}" cy="13" r="4"/>').format(_short(place(value))))
    return Markup(
        '<svg class="interval" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, label, _joined(parts))


def _joined(parts: Sequence[Markup]) -> Markup:
    return Markup().join(parts)


def _short(x: float) -> str:
    return f"{x:.1f}"

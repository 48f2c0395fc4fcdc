"""The figures, one module each, and what planning has to know of them.

To add one, write a module with a function `draw(results) -> Drawing` and register it here.
Planning reads this registry without importing matplotlib.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vaebench.settings import AxisValue


@dataclass(frozen=True)
class FigureSpec:
    """A registered figure; its module in this package has the same name."""

    experiment: str
    """The experiment whose runs it shows."""
    title: str
    needs: Mapping[str, AxisValue] = field(default_factory=dict)
    """Settings of runs without which it cannot be drawn; a tier that lacks them is refused."""
    axes: frozenset[str] = frozenset({"objective", "latent_dim", "seed"})
    """The axes that it tells apart; a tier whose experiment has another is refused."""


FIGURES: dict[str, FigureSpec] = {
    "fig02": FigureSpec(
        "posterior_variance",
        "Posterior means of three runs, learned variances",
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig03": FigureSpec(
        "posterior_variance",
        "Learned posterior variances against means",
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig04": FigureSpec("posterior_variance", "Three methods: bound during training, samples"),
    "fig05": FigureSpec(
        "posterior_variance", "Posterior means under three methods", {"latent_dim": 2}
    ),
    "fig12": FigureSpec(
        "posterior_variance",
        "Latent manifold, learned posterior variances",
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig13": FigureSpec(
        "posterior_variance", "Latent manifold, BILBO", {"objective": "bilbo", "latent_dim": 2}
    ),
}

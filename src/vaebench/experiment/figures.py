"""The registry of figures.

To add one, write a module in `figures/` with a function `draw(results) -> Drawing`, and register it
here. Planning a workflow reads this registry without importing matplotlib.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vaebench.experiment.settings import AxisValue


@dataclass(frozen=True)
class FigureSpec:
    """A registered figure. Its module in `vaebench.figures` has the same name."""

    title: str
    shows: Mapping[str, frozenset[str]]
    """The experiments whose runs it shows, each with the axes that the figure can distinguish. A
    tier is refused if the experiment has another axis."""
    needs: Mapping[str, AxisValue] = field(default_factory=dict)
    """Settings that at least one run of each experiment must have for the figure to be drawn. A
    tier without such a run is refused."""


def _shows(experiment: str, *axes: str) -> dict[str, frozenset[str]]:
    return {experiment: frozenset({"latent_dim", "seed", *axes})}


_VARIANCES = _shows("posterior_variance", "objective")
_SCALES = _shows("gaussian_scale", "likelihood", "data_scale")
_INFORMATION = _shows("baggins_information", "tau")
_FACES = {"celeba": frozenset({"seed", "objective", "posterior_std"})}

FIGURES: dict[str, FigureSpec] = {
    "fig01": FigureSpec("Schematic of a variational auto-encoder", {}),
    "fig02": FigureSpec(
        "Posterior means of three runs, learned variances",
        _VARIANCES,
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig03": FigureSpec(
        "Learned posterior variances against means",
        _VARIANCES,
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig04": FigureSpec("Three methods: bound during training, samples", _VARIANCES),
    "fig05": FigureSpec("Posterior means under three methods", _VARIANCES, {"latent_dim": 2}),
    "fig06": FigureSpec(
        "Samples under Gaussian likelihoods: learned T, T = I, BAGGINS",
        _SCALES | _shows("baggins_scale", "data_scale") | _INFORMATION,
    ),
    "fig07": FigureSpec("CelebA: reconstructions and samples", _FACES, {"objective": "bilbo"}),
    "fig08": FigureSpec(
        "Hard-coded scaling of the codes: bound during training",
        _shows("latent_scaling", "objective", "posterior_std", "latent_scale"),
    ),
    "fig09": FigureSpec(
        "Posterior means under several constant variances",
        _shows("constant_variance", "posterior_std"),
        {"latent_dim": 2},
    ),
    "fig10": FigureSpec(
        "Posterior means on scaled data, Gaussian with T = I",
        _SCALES,
        {"likelihood": "gaussian", "latent_dim": 2},
    ),
    "fig11": FigureSpec(
        "Posterior means under BAGGINS with several information factors",
        _INFORMATION,
        {"latent_dim": 2},
    ),
    "fig12": FigureSpec(
        "Latent manifold, learned posterior variances",
        _VARIANCES,
        {"objective": "learned", "latent_dim": 2},
    ),
    "fig13": FigureSpec(
        "Latent manifold, BILBO", _VARIANCES, {"objective": "bilbo", "latent_dim": 2}
    ),
    "fig14": FigureSpec(
        "Latent manifold, Gaussian with T = I",
        _SCALES,
        {"likelihood": "gaussian", "latent_dim": 2, "data_scale": 1.0},
    ),
    "fig15": FigureSpec(
        "Latent manifold, BAGGINS with an information factor of 1",
        _INFORMATION,
        {"latent_dim": 2, "tau": 1.0},
    ),
    "fig16": FigureSpec("CelebA: reconstructions by method", _FACES, {"objective": "bilbo"}),
    "fig17": FigureSpec(
        "CelebA: samples by method and distribution", _FACES, {"objective": "bilbo"}
    ),
}

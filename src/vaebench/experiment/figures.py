"""The registry of figures.

To add one, write a module in `figures/` with a function `draw(results, *shown) -> Drawing`, and
register it here; or put `@figure(...)` above such a function in a plugin. Planning a workflow reads
this registry without importing matplotlib.

A figure says which runs it needs, and shows any experiment that has them; `needs.py` says which one
where there are several.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from vaebench.errors import UserError
from vaebench.experiment.comparison import INCOMPARABLE
from vaebench.experiment.grid import Experiment
from vaebench.experiment.needs import Found, Need, find, why_none
from vaebench.experiment.plugins import REGISTRIES
from vaebench.experiment.settings import AxisValue
from vaebench.parameters import from_one_file

D = TypeVar("D", bound=Callable[..., Any])
METHODS = 10
"""The largest number of methods whose colours a figure tells apart."""


@dataclass(frozen=True)
class FigureSpec:
    """A registered figure. Its module in `vaebench.figures` has the same name."""

    title: str
    """Its title in the paper, which stands as long as nothing is shown. A drawing has its own."""
    needs: tuple[Need, ...] = ()
    """The runs that it shows. A tier is refused if it has none of them. The function `draw` gets a
    `Selection` for each; one that the tier does not have is empty."""
    draw: Callable[..., Any] | None = None
    """The function of a plugin's figure. None for a figure of this package, which is the module of
    `vaebench.figures` with its name."""

    def __str__(self) -> str:
        """What it needs, in words."""
        return ", or ".join(f"runs {need}" for need in self.needs)


def learned_or_first(objectives: Sequence[str]) -> str:
    """`learned` if it is among them, otherwise the first, if possible another than `bilbo`."""
    if "learned" in objectives:
        return "learned"
    return next((name for name in objectives if name != "bilbo"), objectives[0])


def bilbo_or_second(objectives: Sequence[str]) -> str:
    """`bilbo` if it is among them, otherwise the first that `learned_or_first` does not choose."""
    if "bilbo" in objectives:
        return "bilbo"
    other = learned_or_first(objectives)
    return next((name for name in objectives if name != other), other)


def _need(
    named: str, *apart: str, varies: str = "", n: int | None = None, **settings: AxisValue
) -> Need:
    common = settings | ({} if n is None else {"latent_dim": n})
    own = frozenset({varies} if varies else ())
    free = frozenset() if n is not None else frozenset({"latent_dim"})
    return Need(named, common, apart=free | own | set(apart), varies=own)


def _methods(**settings: AxisValue) -> tuple[Need]:
    """Runs whose bounds can be compared, in a handful of methods: see `figures/methods.py`."""
    alike = INCOMPARABLE | {"data_scale"}
    return (Need("posterior_variance", settings, alike=alike, most=METHODS),)


_FIRST = Need("posterior_variance", {"latent_dim": 2}, apart=frozenset(), pick=learned_or_first)
_SECOND = Need("posterior_variance", {"latent_dim": 2}, apart=frozenset(), pick=bilbo_or_second)
_COMPLETED = tuple(
    Need(named, {"observed": mask}, apart=frozenset({"objective"}))
    for named, mask in (
        ("one-quadrant", "1-quadrant"),
        ("two-quadrants", "2-quadrants"),
        ("three-quadrants", "3-quadrants"),
    )
)
"""Conditional runs, for each mask of Sohn et al. (2015)."""
_FACES = (Need("celeba", {"network": "conv"}, apart=frozenset({"objective", "posterior_std"})),)

_MATCHED = (
    Need(
        "latent_match",
        {"objective": "learned"},
        apart=frozenset({"latent_dim", "hidden_layers", "epochs"}),
    ),
)
_SHORTER = Need(
    "during_training",
    apart=frozenset({"objective", "latent_dim", "epochs"}),
    varies=frozenset({"epochs"}),
)
_COVARIANCE = (
    Need("covariance", apart=frozenset({"latent_dim", "objective"})).having(
        objective=("learned", "full")
    ),
)
_RANKED = tuple(
    Need(named, alike=INCOMPARABLE | {"latent_dim"}, varies=frozenset({"objective"}))
    for named in ("mnist", "fashion-mnist")
)
"""Objectives with any other settings, on each dataset of config/peers.yaml."""

FIGURES: dict[str, FigureSpec] = {
    "fig01": FigureSpec("Schematic of a variational auto-encoder"),
    "fig02": FigureSpec("Posterior means of three runs, learned variances", (_FIRST,)),
    "fig03": FigureSpec(
        "Learned posterior variances against means",
        (_need("posterior_variance", n=2, objective="learned"),),
    ),
    "fig04": FigureSpec("Three methods: bound during training, samples", _methods()),
    "fig05": FigureSpec("Posterior means under three methods", _methods(latent_dim=2)),
    "fig06": FigureSpec(
        "Samples under Gaussian likelihoods: learned T, T = I, BAGGINS",
        (
            _need("gaussian_scale", varies="data_scale", likelihood="gaussian-learned"),
            _need("gaussian_scale", varies="data_scale", likelihood="gaussian"),
            _need("baggins_scale", varies="data_scale", likelihood="baggins"),
            _need("baggins_information", varies="tau", likelihood="baggins"),
        ),
    ),
    "fig07": FigureSpec("CelebA: reconstructions and samples", _FACES),
    "fig08": FigureSpec(
        "Hard-coded scaling of the codes: bound during training",
        (
            _need("constant_variance", varies="posterior_std", objective="bilbo", latent_scale=1.0),
            _need("latent_scaling", varies="latent_scale", objective="learned"),
        ),
    ),
    "fig09": FigureSpec(
        "Posterior means under several constant variances",
        (_need("constant_variance", varies="posterior_std", n=2),),
    ),
    "fig10": FigureSpec(
        "Posterior means on scaled data, Gaussian with T = I",
        (_need("gaussian_scale", varies="data_scale", n=2, likelihood="gaussian"),),
    ),
    "fig11": FigureSpec(
        "Posterior means under BAGGINS with several information factors",
        (_need("baggins_information", varies="tau", n=2),),
    ),
    "fig12": FigureSpec("Latent manifold, learned posterior variances", (_FIRST,)),
    "fig13": FigureSpec("Latent manifold, BILBO", (_SECOND,)),
    "fig14": FigureSpec(
        "Latent manifold, Gaussian with T = I",
        (_need("gaussian_scale", n=2, likelihood="gaussian", data_scale=1.0),),
    ),
    "fig15": FigureSpec(
        "Latent manifold, BAGGINS with an information factor of 1",
        (_need("baggins_information", n=2, tau=1.0),),
    ),
    "fig16": FigureSpec("CelebA: reconstructions by method", _FACES),
    "fig17": FigureSpec("CelebA: samples by method and distribution", _FACES),
    # Not the paper's. It shows no image, so it may be published.
    "fig_faces": FigureSpec("CelebA: bounds and spreads by method", _FACES),
    # Not the paper's. They show runs on which the equations are measured.
    "fig_gap": FigureSpec("Evidence against the bound of each image", _methods()),
    "fig_stationarity": FigureSpec("Posterior variances against Eq. 12", (*_methods(), _SHORTER)),
    "fig_penalty": FigureSpec("Predicted and measured penalty of a constant variance", _methods()),
    "fig_decoder": FigureSpec("The closed-form decoder beside the network", _methods(latent_dim=2)),
    "fig_posterior": FigureSpec(
        "Exact posteriors under the encoder's ellipses", _methods(latent_dim=2)
    ),
    "fig_evidence": FigureSpec(
        "Evidence and bound by objective", (replace(_methods()[0], named="evidence"),)
    ),
    # Not the paper's. They show runs whose aggregated posterior is measured.
    "fig_covariance": FigureSpec("A full covariance matrix against a diagonal one", _COVARIANCE),
    "fig_aggregated": FigureSpec("The aggregated posterior on the prior's contours", _MATCHED),
    "fig_match": FigureSpec("The aggregated posterior against the prior", _MATCHED),
    "fig_latent_samples": FigureSpec("Samples by where z is drawn from", _MATCHED),
    "fig_ranking": FigureSpec("Objectives ranked by evidence", _RANKED),
    "fig_completions": FigureSpec("Hidden pixels completed from observed ones", _COMPLETED),
    "fig_conditional": FigureSpec("Conditional log-likelihood by objective", _COMPLETED),
}


def runs_to_show(name: str, experiments: Sequence[Experiment]) -> list[Found | None]:
    """The runs for each need of a figure; None for those that the experiments do not have.

    Raises:
        UserError: there is no such figure, or they have none of its runs.
    """
    if name not in FIGURES:
        raise UserError(f"'{name}' is not one of: {', '.join(FIGURES)}")
    spec = FIGURES[name]
    found = [find(need, experiments) for need in spec.needs]
    if spec.needs and not any(found):
        wanted = [f"runs {need} (here {why_none(need, experiments)})" for need in spec.needs]
        raise UserError(f"{name} needs {', or '.join(wanted)}")
    return found


REGISTRIES.append(FIGURES)


def figure(title: str, *needs: Need, name: str | None = None) -> Callable[[D], D]:
    """Register the decorated function as a figure of a plugin.

    It takes the `results.read.Results` of a tier and a `results.read.Selection` for each need, and
    returns a `figures.style.Drawing`.

    Args:
        title: its title on pages.
        *needs: the runs that it shows.
        name: its name in configs. If it is not given, the function's own, with hyphens for
            underscores.

    Raises:
        UserError: there is a figure of that name.
    """

    def register(draw: D) -> D:
        own = name or draw.__name__.replace("_", "-")
        known = FIGURES.get(own)
        if known is not None and not (known.draw and from_one_file(known.draw, draw)):
            raise UserError(f"two figures are named '{own}': give one of them another name")
        FIGURES[own] = FigureSpec(title, needs, draw)
        return draw

    return register

"""The registry of the families of posteriors q(z|x) and priors p(z).

What a family computes is in `core/posterior.py` and `core/prior.py`. Planning a workflow reads this
registry without importing torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vaebench.parameters import Parameter


@dataclass(frozen=True)
class PosteriorFamily:
    """A family of approximate posteriors. All are Gaussian: N(mean(x), Sigma)."""

    description: str
    varies: bool
    """Whether Sigma depends on x. If not, there is one Sigma for all examples."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Its own settings."""


POSTERIOR_STD = Parameter(
    1.0,
    above=0,
    description="sigma: standard deviation of the posterior in every dimension. Constant with the "
    "posterior `constant`, the initial value with `diagonal-from-constant`.",
)

POSTERIORS: dict[str, PosteriorFamily] = {
    "constant": PosteriorFamily(
        "Sigma = sigma^2 I for every x, with the setting posterior_std as sigma",
        varies=False,
        parameters={"posterior_std": POSTERIOR_STD},
    ),
    "shared": PosteriorFamily("one learned diagonal Sigma for every x", varies=False),
    "diagonal": PosteriorFamily("a diagonal Sigma(x), which the encoder computes", varies=True),
    "diagonal-from-constant": PosteriorFamily(
        "a diagonal Sigma(x) that is sigma^2 I for every x before the first step",
        varies=True,
        parameters={"posterior_std": POSTERIOR_STD},
    ),
    "full": PosteriorFamily(
        "a full Sigma(x) = L L', whose Cholesky factor L the encoder computes", varies=True
    ),
}

PRIORS: dict[str, str] = {
    "standard": "N(0, I)",
    "floating": "N(0, S^2) with the diagonal S^2 = E[Sigma + diag(mu)^2] of the batch (Eq. 4)",
    "floating-full": "N(0, S^2) with the full S^2 = E[Sigma + mu mu'] of the batch",
}

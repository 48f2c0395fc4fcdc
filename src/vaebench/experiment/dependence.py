"""How it is measured what of a run depends on the input, and the statistics that are measured.

The list is read without torch. `dependence/method.py` computes the numbers.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=10_000_000)]
NATS = "nats"


class DependencePlan(BaseModel):
    """How it is measured what of a run depends on the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    images: Count = Field(1000, description="Test images, from the first.")
    draws: Annotated[int, Field(ge=25, le=10_000_000)] = Field(
        100,
        description="K: draws of z for each image, from the encoder's q and from the prior. Values "
        "with different K are not comparable.",
    )
    regressed: Count = Field(
        5000, description="Training images for the regression of codes on observed pixels."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Of the random numbers.")


class DependenceStatistic(NamedTuple):
    """A number of a run."""

    says: str
    unit: str


DEPENDENCE_STATISTICS: dict[str, DependenceStatistic] = {
    name: DependenceStatistic(*rest)
    for name, *rest in (
        ("mean_variance", "mean over active dimensions of the variance of μ(x) over images", ""),
        ("mean_share", "mean over active dimensions of Var μ / (Var μ + E σ²)", "share"),
        ("log_std_spread", "mean over active dimensions of the deviation of log σ(x)", "log ratio"),
        ("bound", "the bound of these images", NATS),
        ("mean_cost", "what the bound loses if μ(x) is replaced by its mean over images", NATS),
        ("std_cost", "what it loses if σ(x) is replaced by its mean over images", NATS),
        ("std_cost_error", "its standard error over images", NATS),
        ("precision_cost", "what it loses if 1/σ²(x) is replaced by its mean, as by Eq. 22", NATS),
        ("precision_cost_error", "its standard error over images", NATS),
        ("log_p_is", "log of the mean weight of K draws from q, mean over images", NATS),
        ("log_p_is_error", "its standard error over images", NATS),
        ("log_p_mc", "log of the mean of p(x|z) over K draws from the prior, mean", NATS),
        ("log_p_mc_error", "its standard error over images", NATS),
        ("mc_loss", "log_p_is minus log_p_mc: what the encoder's draws bring at this K", NATS),
        ("shape_is", "median k-hat of the weights of draws from q", ""),
        ("shape_is_high", "share of images whose k-hat is above 0.7", "share"),
        ("shape_mc_high", "the same for draws from the prior", "share"),
        (
            "prior_share",
            "of a learned prior: mean over active dimensions of Var m(x) / (Var m(x) + E s²(x))",
            "share",
        ),
        (
            "code_r2",
            "held-out R² of a linear regression of μ(x, y) on observed pixels, mean over active "
            "dimensions, in the coordinates of the prior",
            "share",
        ),
    )
}
"""By name. Those about a prior or observed pixels are of conditional runs alone. Codes of a plain
network, which has none, have no statistics."""

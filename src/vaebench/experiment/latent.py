"""What an experiment, or the command line, says about how the aggregated posterior is measured."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Some = Annotated[int, Field(ge=0, le=10_000_000)]

MARGIN = 1.0
"""Nats. A mismatch of aggregated posterior and prior below it does not matter, and an interval that
is wider does not tell whether it does. It is the margin of the paper's claims."""
PRIORS = ("prior", "gaussian", "aggregated")
"""The distributions of z that are compared: the prior in force; the Gaussian with mean and
covariance of the aggregated posterior; the aggregated posterior of the training images."""


class LatentPlan(BaseModel):
    """How the aggregated posterior of runs is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    draws: Annotated[int, Field(ge=2, le=10_000_000)] = Field(
        10_000, description="Codes of training images, and of test images."
    )
    images: Some = Field(
        1000,
        description="Test images for the exact evidence under each prior, with 1 or 2 latent "
        "dimensions; 0 for none.",
    )
    samples: Some = Field(
        5000,
        description="Samples from each distribution of z that are compared by a classifier's "
        "features; 0 for none.",
    )
    turned: Some = Field(
        200,
        description="Test images whose exact posterior's correlations and axes are measured; 0 for "
        "none.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Of the random numbers.")

"""What an experiment, or the command line, says about how the evidence log p(x) is measured."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=10_000_000)]

LARGEST_GRID = 2
"""The largest latent dimension of a grid."""
ALL_IMAGES, ANNEALED_IMAGES = 10_000, 1000
"""The images that are measured if their number is not given: on a grid, and by annealing."""


class EvidencePlan(BaseModel):
    """How the evidence of runs is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: Literal["auto", "grid", "ais"] = Field(
        "auto",
        description="`grid`: exact, for 1 or 2 latent dimensions. `ais`: annealed importance "
        "sampling. `auto`: a grid if it is possible.",
    )
    images: Count | None = Field(
        None,
        description="How many test images are measured, from the first. Default: 10,000 on a grid "
        "and 1,000 by annealing, or all if there are fewer.",
    )
    temperatures: Count = Field(200, description="The number of densities of annealing.")
    chains: Count = Field(8, description="The number of chains of annealing.")
    draws: Annotated[int, Field(ge=25, le=10_000_000)] = Field(
        5000,
        description="Draws of z for each image, for the importance weighted bounds beside "
        "annealing.",
    )
    simulated: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        100, description="Simulated images for the error bar of annealing. 0: none."
    )
    refined: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        200, description="Images whose gap is split into its causes. 0: none."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Of the random numbers.")

    def uses_grid(self, latent_dim: int) -> bool:
        """Whether a grid is to be tried.

        Args:
            latent_dim: n of the run.
        """
        return self.method == "grid" or (self.method == "auto" and latent_dim <= LARGEST_GRID)

    def count(self, there: int, on_grid: bool) -> int:
        """The number of images to be measured.

        Args:
            there: the number of test images.
            on_grid: whether they are measured on a grid.
        """
        return min(there, self.images or (ALL_IMAGES if on_grid else ANNEALED_IMAGES))

"""Conditional models: what parts of a network see of an image whose other pixels are predicted.

The pixels of an image are divided by a mask into observed ones x and hidden ones y. The encoder
q(z|x, y) sees both. The likelihood covers y alone. An objective declares which of the other parts
see x. Planning a workflow reads this module without importing torch.
"""

from dataclasses import dataclass

from vaebench.numerics.mask import problem
from vaebench.parameters import Parameter


@dataclass(frozen=True)
class Conditioning:
    """Which parts of a network see the observed pixels x.

    Raises:
        ValueError: the hidden pixels would depend on nothing, or a prior is without latent codes.
    """

    prior: bool = False
    """Whether the prior is p(z|x) = N(m(x), diag s(x)^2), computed by a network. Else it does not
    depend on x."""
    decoder: bool = False
    """Whether the decoder is p(y|x, z). Else it is p(y|z)."""
    latent: bool = True
    """Whether there are latent codes. Without them the decoder is a plain network p(y|x)."""

    def __post_init__(self) -> None:
        if not self.latent and (self.prior or not self.decoder):
            raise ValueError("without latent codes, only the decoder sees the observed pixels")


OBSERVED = Parameter(
    "1-quadrant",
    description="The observed pixels of a conditional model: 1-quadrant, 2-quadrants, 3-quadrants, "
    "or areas joined by +, by name such as bottom-left or top, or as ROWSxCOLUMNS such as "
    "14-27x0-13. The others are predicted.",
    check=problem,
)
"""A setting of all runs whose objective declares a conditioning."""

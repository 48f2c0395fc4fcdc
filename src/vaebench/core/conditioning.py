"""How a model is conditioned on the observed pixels of an image.

The codes of a conditional model are in the coordinates of its prior: e = (z - m(x)) / s(x) with
p(z|x) = N(m(x), diag s(x)^2). In them p(e|x) = N(0, I), q(e|x, y) is Gaussian again, and the
divergence between the two is that between q(z|x, y) and p(z|x), since it does not depend on
coordinates. So all that is computed with the prior N(0, I) holds for p(z|x) too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.conditioning import Conditioning
from vaebench.core.posterior import DiagonalPosterior
from vaebench.errors import UserError
from vaebench.numerics.mask import observed_pixels


@dataclass(frozen=True)
class Mask:
    """Which pixels of a flat image are observed, and which parts of the network see them."""

    parts: Conditioning
    observed: Tensor
    """The numbers of the observed pixels, int64 of shape [observed]."""
    hidden: Tensor
    """Those of the others, which are predicted, int64 of shape [hidden]."""

    @staticmethod
    def of(
        parts: Conditioning, mask: str, image_shape: Sequence[int], device: torch.device
    ) -> Mask:
        """A mask that is described by a text.

        Args:
            parts: which parts of the network see the observed pixels.
            mask: a text without a `numerics.mask.problem`.
            image_shape: [height, width] or [height, width, colour].
            device: of the data.

        Raises:
            UserError: the mask is not within the image, or leaves no pixel to be predicted.
        """
        try:
            observed = observed_pixels(mask, image_shape)
        except ValueError as error:
            raise UserError(f"observed: {error}: choose another mask or dataset") from None
        pixels = torch.Size(image_shape).numel()
        is_observed = torch.zeros(pixels, dtype=torch.bool)
        is_observed[observed] = True
        both = (is_observed.nonzero()[:, 0], (~is_observed).nonzero()[:, 0])
        return Mask(parts, *(numbers.to(device) for numbers in both))

    def seen(self, x: Tensor) -> Tensor:
        """The observed pixels of data, shape [..., observed], from shape [..., pixel]."""
        return x.index_select(-1, self.observed)

    def target(self, x: Tensor) -> Tensor:
        """The hidden pixels of data, which the likelihood covers, shape [..., hidden]."""
        return x.index_select(-1, self.hidden)

    def completed(self, x: Tensor, predicted: Tensor) -> Tensor:
        """Images with the observed pixels of x and the predicted ones, shape [..., pixel]."""
        return x.index_copy(-1, self.hidden, predicted.to(x.dtype))


class Given(NamedTuple):
    """What is known of each image before its hidden pixels are."""

    seen: Tensor
    """The observed pixels, shape [run, batch, observed]."""
    prior: DiagonalPosterior | None
    """p(z|x), shape [run, batch, latent]. None if it is N(0, I)."""

    def repeated(self, draws: int) -> Given:
        """For several draws of each image, which follow each other as examples of their own."""

        def repeat(tensor: Tensor) -> Tensor:
            return tensor.repeat(1, draws, 1)

        prior = None if self.prior is None else self.prior.changed(repeat)
        return Given(repeat(self.seen), prior)

    def rows(self, which: slice) -> Given:
        """Those of some examples."""
        prior = None if self.prior is None else self.prior.changed(lambda one: one[:, which])
        return Given(self.seen[:, which], prior)

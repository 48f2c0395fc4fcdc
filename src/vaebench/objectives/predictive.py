"""Objectives that predict the hidden pixels y of an image from its observed pixels x.

They are bounds on log p(y|x), after Sohn, Lee and Yan, "Learning Structured Output Representation
using Deep Conditional Generative Models" (NIPS 2015). The setting `observed` says which pixels are
x. `batch.log_likelihood` covers y alone. Codes are in the coordinates of the prior, see
`core/conditioning.py`, so `batch.kl` is KL(q(z|x, y) | p(z|x)) also where the prior is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaebench.conditioning import Conditioning
from vaebench.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor

    from vaebench.core.batch import Batch


def conditional_elbo(batch: Batch) -> Tensor:
    """E_q(z|x,y) log p(y|x, z) - KL(q(z|x, y) | p(z|x)) in nats, shape [run]."""
    return (batch.log_likelihood - batch.kl).mean(-1)


@objective(on_whole_set=True, conditioning=Conditioning(prior=True, decoder=True))
def conditional(batch: Batch) -> Tensor:
    """The conditional VAE of Sohn et al. (2015): both the prior p(z|x) and the decoder see x."""
    return conditional_elbo(batch)


@objective(on_whole_set=True, conditioning=Conditioning(decoder=True))
def conditional_standard(batch: Batch) -> Tensor:
    """`conditional` with the prior N(0, I), which is independent of x. The decoder sees x."""
    return conditional_elbo(batch)


@objective(on_whole_set=True, conditioning=Conditioning())
def conditional_blind(batch: Batch) -> Tensor:
    """A VAE of the hidden pixels: neither prior nor decoder sees x. Only the encoder does."""
    return conditional_elbo(batch)


@objective(on_whole_set=True, conditioning=Conditioning(decoder=True, latent=False))
def plain(batch: Batch) -> Tensor:
    """A plain network p(y|x) without latent codes: the baseline, log p(y|x) itself."""
    return batch.log_likelihood.mean(-1)

"""Identities among the paper's equations, against the package's objectives."""

import pytest
import torch

from vaebench.core.batch import Batch, Clock
from vaebench.core.log_likelihood import batch_log_likelihood
from vaebench.core.posterior import DiagonalPosterior
from vaebench.equations import priors
from vaebench.evidence.gaussians import Gaussians
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES


def batch_of(images: int, latent: int) -> tuple[Gaussians, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    mean = torch.randn(images, latent, generator=random).double() * torch.tensor([3.0, 0.5, 1.0])
    std = torch.full((latent,), 0.8).double()
    return Gaussians(mean, std.expand_as(mean)), std


def test_equations_29_and_30_are_the_packages_baggins() -> None:
    q, std = batch_of(50, 3)
    squared = 5 + torch.rand(50, generator=torch.Generator().manual_seed(2)).double()
    of_24, of_30 = priors.bilbo_with_29(q, std, squared, 20, 0.2)
    posterior = DiagonalPosterior(q.mean[None], std[None, None])
    u = torch.tensor([[priors.information(q, std)]], dtype=torch.float64)
    tau = torch.tensor([[0.2]], dtype=torch.float64)
    log_likelihood = batch_log_likelihood(
        LIKELIHOODS["baggins"], squared[None], 20, u, {"tau": tau}
    )
    batch = Batch(
        *(q.mean[None], posterior, q.mean[None], log_likelihood, "floating", 50, Clock(1, 1, 1))
    )
    expected = float(OBJECTIVES["bilbo"].bound(batch))
    assert of_24 == pytest.approx(expected, rel=1e-12)
    assert of_30 == pytest.approx(expected, rel=1e-12)


def test_equations_2_23_and_24_agree_on_rates() -> None:
    q, std = batch_of(50, 3)
    second = priors.fit(q).second
    assert priors.rate_of_2(q, second, full=False) == pytest.approx(priors.rate_of_24(q, std))
    assert priors.rate_of_2(q, second, full=True) == pytest.approx(priors.rate_of_23(q, std))
    # A full S^2 costs less by what the fitted moments say.
    gain = priors.rate_of_24(q, std) - priors.rate_of_23(q, std)
    assert gain == pytest.approx(priors.fit(q).full_gain)
    assert gain > 1e-3


def test_small_batches_flatter_equation_24() -> None:
    random = torch.Generator().manual_seed(3)
    mean = torch.randn(60_000, 3, generator=random).double() * torch.tensor([3.0, 0.5, 1.0])
    std = torch.full((3,), 0.8).double()
    q = Gaussians(mean, std.expand_as(mean))
    moment = mean.square().mean(0)
    share = moment / (moment + std.square())
    predicted = 0.5 * float(share.square().sum()) / 100
    assert priors.batch_bias(q, std, 100) == pytest.approx(predicted, rel=0.15)


def test_the_best_information_solves_its_equation() -> None:
    assert priors.best_information(100, 784, 0.2) == pytest.approx(0.2 * 684)
    assert priors.best_information(100, 784, 0.1) == 100
    u = priors.best_information(100, 784, 0.2, units=30)
    assert 30 / (30 + u - 100) + 1 / 0.2 == pytest.approx(784 / u)


# Claims and the table, on made values

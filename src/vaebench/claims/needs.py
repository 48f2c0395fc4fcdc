"""The runs that the paper's claims are about, as needs that an experiment of any name may meet."""

from vaebench.experiment.needs import Need


def _need(named: str, *apart: str, varies: str = "", **settings: str) -> Need:
    own = frozenset({varies} if varies else ())
    return Need(named, settings, apart=own | {"latent_dim", *apart}, varies=own)


VARIANCES = _need("posterior_variance", "objective")
"""Section 7.1: objectives that are compared at otherwise equal settings."""
BERNOULLI = _need("posterior_variance", "objective", likelihood="bernoulli")
"""The same with the Bernoulli likelihood."""
CONSTANT_STD = _need("constant_variance", varies="posterior_std")
"""Fig. 9: several constant stds."""
SCALED_CODES = Need(
    "latent_scaling",
    apart=frozenset({"latent_dim", "objective", "posterior_std", "latent_scale"}),
    varies=frozenset({"posterior_std", "latent_scale"}),
)
"""Fig. 8: constant stds on codes that are scaled."""
LEARNED_T = _need("gaussian_scale", "data_scale", likelihood="gaussian-learned")
UNIT_T = _need("gaussian_scale", varies="data_scale", likelihood="gaussian")
"""Fig. 6a: the Gaussian likelihoods with learned T and with T = I on scaled data."""
BAGGINS_SCALES = _need("baggins_scale", varies="data_scale", likelihood="baggins")
"""Fig. 6b: BAGGINS on scaled data."""
BAGGINS_TAUS = _need("baggins_information", varies="tau", likelihood="baggins")
"""Fig. 6c: BAGGINS with several information factors."""
SHARED_T = _need("shared_variance", likelihood="gaussian-shared", objective="learned")
"""Abstract and Section 5: an ordinary VAE with one learned T, which BAGGINS is compared with."""
FACES = Need(
    "celeba",
    {"likelihood": "gaussian-coordinate"},
    apart=frozenset({"objective", "posterior_std"}),
).having(objective=("learned", "bilbo"))
"""Figs. 16 and 17: the standard ELBO and BILBO on CelebA."""

"""The runs that the paper's claims are about, as needs that an experiment of any name may meet."""

from vaebench.experiment.needs import Need


def _need(named: str, *apart: str, varies: str = "", **settings: str) -> Need:
    own = frozenset({varies} if varies else ())
    return Need(named, settings, apart=own | {"latent_dim", *apart}, varies=own)


VARIANCES = _need("posterior_variance", "objective")
"""Section 7.1: objectives that are compared at otherwise equal settings."""
BERNOULLI = _need("posterior_variance", "objective", likelihood="bernoulli")
"""The same with the Bernoulli likelihood."""
CONSTANT_STD = Need(
    "constant_variance",
    {"latent_dim": 2},
    apart=frozenset({"posterior_std"}),
    varies=frozenset({"posterior_std"}),
)
"""Fig. 9: several constant stds, two-dimensional codes."""
RATIOS = Need(
    "constant_variance",
    {"objective": "bilbo", "latent_scale": 1.0, "network": "mlp"},
    apart=frozenset({"latent_dim", "posterior_std"}),
    varies=frozenset({"posterior_std"}),
)
"""Fig. 8: constant stds on codes that are not scaled: the ratios of std and scale. The paper
has several stds on CelebA too, with the other network, and does not say which of them is best."""
SCALED_LEARNED = _need("latent_scaling", varies="latent_scale", objective="learned")
"""Fig. 8: learned variances on codes that are scaled."""
SCALED_CONTROL = _need("scaling_control", "posterior_std", varies="latent_scale", objective="bilbo")
"""Constant stds on codes that are scaled, to be compared with runs with the same ratio."""
LEARNED_T = _need("gaussian_scale", "data_scale", likelihood="gaussian-learned")
UNIT_T = _need("gaussian_scale", varies="data_scale", likelihood="gaussian")
"""Fig. 6a: the Gaussian likelihoods with learned T and with T = I on scaled data."""
BAGGINS_SCALES = _need("baggins_scale", varies="data_scale", likelihood="baggins")
"""Fig. 6b: BAGGINS on scaled data."""
BAGGINS_TAUS = _need("baggins_information", varies="tau", likelihood="baggins")
"""Fig. 6c: BAGGINS with several information factors."""
SHARED_T = _need("shared_variance", likelihood="gaussian-shared", objective="learned")
"""Abstract and Section 5: an ordinary VAE with one learned T, which BAGGINS is compared with."""
_FACES = Need(
    "celeba",
    {"likelihood": "gaussian-coordinate"},
    apart=frozenset({"objective", "posterior_std"}),
)
FACES = _FACES.having(objective=("learned", "bilbo"))
"""Figs. 16 and 17: the standard ELBO and BILBO on CelebA."""
FACES_FORMS = _FACES.having(objective=("constant", "bilbo"))
"""The same runs: one objective in two forms."""

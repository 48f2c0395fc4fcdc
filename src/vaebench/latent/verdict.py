"""What the measured numbers say: is it safe to sample from the prior, and if not, what to do."""

from dataclasses import dataclass
from typing import Literal

from vaebench.experiment.latent import MARGIN
from vaebench.runs.latent_record import Latent, Uncertain

Answer = Literal["safe", "unsafe", "undecided"]
ERRORS = 2.0
"""Standard errors between a mean and the end of its interval."""
MOSTLY = 0.9
"""N(m, C) is advised, as the simpler one, if it brings so much of what q_N does."""


@dataclass(frozen=True)
class Verdict:
    """An answer with its reason, and what to do."""

    answer: Answer
    reason: str
    advice: str


def verdict(latent: Latent) -> Verdict:
    """Judge a run by the bracket of its divergence, with a margin of 1 nat.

    - `safe`: the upper end, KL(q_N | p), is below the margin.
    - `unsafe`: another prior is better on test images by more than the margin.
    - `undecided`: neither. Then no prior is known that is better by the margin.
    """
    found = latent.mismatch
    name = "N(0, I)" if found.is_standard else "the prior N(0, S²) of the run"
    upper = _high(found.kl)
    if upper < MARGIN:
        return Verdict(
            "safe",
            f"the aggregated posterior differs from {name} by KL {found.kl.value:.2f} nats, less "
            f"than {MARGIN:g}",
            f"Sample z from {name}.",
        )
    best = max(_low(found.gaussian_gain), _low(found.held_out))
    if best > MARGIN:
        return Verdict(
            "unsafe",
            f"the codes of images that the run has not seen are likelier under another prior by "
            f"{max(found.gaussian_gain.value, found.held_out.value):.2f} nats an image",
            _advice(latent),
        )
    return Verdict(
        "undecided",
        f"the mismatch is at least {found.held_out.value:.2f} and at most {found.kl.value:.2f} "
        f"nats: {latent.train_images:,} images do not tell it within {MARGIN:g} nat. No other "
        f"prior is known to be better by {MARGIN:g} nat",
        f"Sample z from {name}: nothing better can be fitted to these images.",
    )


def is_identified(latent: Latent) -> bool:
    """Whether the two ends of the bracket are within the margin."""
    return _high(latent.mismatch.kl) - _low(latent.mismatch.held_out) < MARGIN


def _advice(latent: Latent) -> str:
    found = latent.mismatch
    gaussian, aggregated = found.gaussian_gain.value, found.held_out.value
    if gaussian >= MOSTLY * aggregated:
        return (
            "Sample z from the Gaussian with the mean and covariance of the aggregated posterior: "
            "run.sample(n, prior='gaussian'). Or train with a floating prior, such as that of the "
            "objective learned-floating."
        )
    return (
        "Sample z from the aggregated posterior, which is q(z|x) of a training image x: "
        f"run.sample(n, prior='aggregated'). The fitted Gaussian would bring {gaussian:.2f} of its "
        f"{aggregated:.2f} nats."
    )


def _high(mean: Uncertain) -> float:
    return mean.value + ERRORS * (mean.error or 0.0)


def _low(mean: Uncertain) -> float:
    return mean.value - ERRORS * (mean.error or 0.0)

"""The report of a run: the verdict and the numbers behind it, as text."""

from collections.abc import Iterator
from dataclasses import dataclass

from vaebench.latent.verdict import is_identified, verdict
from vaebench.runs.latent_record import Latent, Sampled, Uncertain


@dataclass(frozen=True)
class Line:
    """A row of the report's table."""

    what: str
    value: str
    says: str


@dataclass(frozen=True)
class Report:
    """A verdict in sentences, and a table of the numbers behind it."""

    title: str
    sentences: list[str]
    lines: list[Line]

    def __str__(self) -> str:
        """As plain text."""
        wide, values = (max(len(getattr(x, k)) for x in self.lines) for k in ("what", "value"))
        rows = [
            f"  {x.what.ljust(wide)}  {x.value.ljust(values)}  {x.says}".rstrip()
            for x in self.lines
        ]
        return "\n".join([self.title, *self.sentences, *rows])


TITLES = {
    "safe": "Sampling from the prior is safe.",
    "unsafe": "Sampling from the prior is not safe.",
    "undecided": "These images do not tell whether sampling from the prior is safe.",
}


def report(latent: Latent) -> Report:
    """The report of what was measured."""
    found = verdict(latent)
    sentences = [f"Why: {found.reason}.", f"What to do: {found.advice}"]
    mismatch = latent.mismatch
    if not mismatch.is_standard:
        sentences.append(
            f"The prior of this run is not N(0, I). Never sample z from N(0, I) here: codes differ "
            f"from it by {mismatch.linear_from_standard:.1f} nats or more."
        )
    return Report(TITLES[found.answer], sentences, [*_mismatch(latent), *_rest(latent)])


def _mismatch(latent: Latent) -> Iterator[Line]:
    found, moments = latent.mismatch, latent.moments
    ends = f"{found.held_out.value:.2f} to {found.kl.value:.2f} nats"
    known = "" if is_identified(latent) else f"; {latent.train_images:,} images do not tell it"
    yield Line("KL of all codes from the prior", ends, f"of the population{known}")
    yield Line("  of it mean and covariance", _nats(found.linear), "what a Gaussian prior removes")
    yield Line(
        "  of it shape", _nats(found.shape), "of the training images; what no Gaussian removes"
    )
    yield Line(
        "information about the image",
        _nats(found.information.value),
        f"of the rate {found.rate:.2f}; at most log N = {found.log_images:.2f}",
    )
    yield Line(
        "active dimensions", f"{moments.active} of {latent.latent_dim}", "KL above 0.01 nats"
    )
    if moments.active:
        yield Line(
            "variances of active ones",
            f"{moments.variance_low:.2f}, {moments.variance_mean:.2f}, {moments.variance_high:.2f}",
            "smallest, mean, largest; 1 is the prior's",
        )
        text = "–" if moments.correlation is None else f"{moments.correlation:.2f}"
        yield Line("largest correlation", text, "0 is the prior's")
        yield Line("mean size of excess kurtosis", f"{moments.kurtosis:.2f}", "0 is the prior's")
        own, null = latent.discrepancy.active["1"], latent.discrepancy.active_null["1"]
        yield Line("MMD², relative", f"{own:.4f}", f"active dimensions; {null:.4f} by chance")


def _rest(latent: Latent) -> Iterator[Line]:
    found = latent.mismatch
    yield Line(
        "bound under the fitted Gaussian", _gain(found.gaussian_gain), "change on test images"
    )
    yield Line("bound under the aggregated", _gain(found.held_out), "change on test images")
    if latent.evidence is not None:
        exact = latent.evidence
        says = f"change of log p(x), exact, {exact.images:,} test images"
        yield Line("evidence under the fitted Gaussian", _gain(exact.gaussian_gain), says)
        yield Line("evidence under the aggregated", _gain(exact.aggregated_gain), says)
    if latent.samples is not None:
        yield from _samples(latent.samples)
    for name, reason in latent.not_measured.items():
        yield Line(f"{name}", "not measured", reason)


def _samples(samples: Sampled) -> Iterator[Line]:
    names = ("prior", "gaussian", "aggregated", "floor")
    for measure, good in (("kid", "smaller is better"), ("coverage", "larger is better")):
        values = [getattr(getattr(samples, name), measure) for name in names]
        text = ", ".join(f"{value:.3f}" for value in values[:3])
        says = f"z from prior, Gaussian, aggregated; training images {values[3]:.3f}; {good}"
        yield Line(f"{measure.upper() if measure == 'kid' else measure} of samples", text, says)


def _nats(value: float) -> str:
    return f"{value:.2f} nats"


def _gain(mean: Uncertain) -> str:
    error = "" if mean.error is None else f" ± {2 * mean.error:.2f}"
    return f"{mean.value:+.2f}{error} nats"

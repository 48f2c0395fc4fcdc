"""How the paper's equations are measured on runs, and the statistics that are measured.

The list is read without torch. `equations/measure.py` computes the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vaebench.errors import UserError

Count = Annotated[int, Field(ge=1, le=10_000_000)]
State = Literal["trained", "refined", "initial"]
"""Of a run: the encoder and decoder after training; the decoder after training, with the best
Gaussian of the encoder's family for each image; the weights before the first step."""
STATES: tuple[State, ...] = ("trained", "refined", "initial")


class EquationsPlan(BaseModel):
    """How the equations are measured on runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    images: Count = Field(300, description="Test images, from the first.")
    refined: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        200, description="Images whose q is refined on the frozen decoder; 0 for none."
    )
    regressed: Count = Field(
        500, description="Training and test images for the closed-form decoder, of each."
    )
    temperatures: Count = Field(
        100,
        description="The number of densities of annealing, for more than two latent dimensions.",
    )
    chains: Count = Field(8, description="The number of chains of annealing.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Of the random numbers.")


def equations_plan(plan: EquationsPlan, given: Mapping[str, Any]) -> EquationsPlan:
    """A plan with some values changed.

    Raises:
        UserError: a value is wrong.
    """
    try:
        return EquationsPlan.model_validate(plan.model_dump() | dict(given))
    except ValidationError as error:
        item = error.errors()[0]
        name = ".".join(str(part) for part in item["loc"])
        raise UserError(f"{name}: {item['msg']} (found {given.get(name)!r})") from None


class EquationStatistic(NamedTuple):
    """A number of a run."""

    equation: str
    says: str
    unit: str


NATS = "nats"
EQUATION_STATISTICS: dict[str, EquationStatistic] = {
    name: EquationStatistic(*rest)
    for name, *rest in (
        (
            "eq4_deviation",
            "4",
            "mean over active dimensions of |E(Σ_jj + μ_j²)/S_j² − 1|, training set",
            "ratio",
        ),
        ("eq4_gain", "4", "what the bound gains if S² is that of Eq. 4", NATS),
        ("eq4_full_gain", "4", "what a full S² of Eq. 4 gains beyond a diagonal one", NATS),
        (
            "eq6_train_gain",
            "6",
            "E log p(x|z) of the closed-form decoder minus that of the network, training images",
            NATS,
        ),
        ("eq6_train_gain_error", "6", "its standard error over images", NATS),
        ("eq6_test_gain", "6", "the same on test images", NATS),
        ("eq6_test_gain_error", "6", "its standard error over images", NATS),
        ("eq6_effective_images", "6", "median effective number of images of the kernel", "images"),
        ("eq6_own_weight", "6", "mean weight of the training image that z was drawn from", "share"),
        (
            "eq7_log_norm",
            "7",
            "median of log |J|/|J*|, network against closed form, at μ of test images",
            "log ratio",
        ),
        ("eq7_difference", "7", "median of |J − J*|/|J*|", "ratio"),
        ("eq7_cosine", "7", "median cosine between J and J*", "cosine"),
        ("eq7_check", "7", "closed form against a central difference, relative", "ratio"),
        (
            "eq8_curved_closed",
            "8",
            "median share of the closed-form decoder's variation over q that is not linear",
            "share",
        ),
        ("eq8_curved_network", "8", "the same of the network", "share"),
        (
            "eq9_gradient",
            "9",
            "median gradient of the bound by μ, in standard deviations of q, a dimension",
            NATS,
        ),
        ("eq11_gradient", "11", "the same as the paper has it, with J at μ", NATS),
        ("eq11_relative", "11", "median of |S⁻²μ − J'(x − ν)|/|S⁻²μ|", "ratio"),
        ("eq12_point", "10, 12", "mean Σ_jj A_jj − 1 over active dimensions, A at μ", "ratio"),
        ("eq12_averaged", "10, 12", "the same with A averaged over q", "ratio"),
        ("eq12_exact", "10, 12", "the same with all of the Hessian (Stein)", "ratio"),
        ("eq12_low", "10, 12", "5% quantile over images and dimensions, averaged A", "ratio"),
        ("eq12_high", "10, 12", "95% quantile, averaged A", "ratio"),
        ("eq12_diagonal_loss", "12, 25", "what the best diagonal Σ loses by Eq. 25", NATS),
        ("eq16_at_mean", "16, 26", "right side at μ minus log p(x), mean", NATS),
        (
            "eq16_at_mode",
            "16, 26",
            "right side at the maximum of p(z|x) minus log p(x), mean",
            NATS,
        ),
        ("eq16_at_mode_median", "16, 26", "the same, median", NATS),
        ("eq16_spread", "16, 26", "mean size of the same", NATS),
        ("eq17_error", "17", "right side minus the bound, mean", NATS),
        ("eq18_gap", "18, 25", "log p(x) minus the bound, mean", NATS),
        ("eq18_gap_median", "18, 25", "the same, median", NATS),
        ("eq18_point", "18, 25", "right side with A at μ, mean", NATS),
        ("eq18_averaged", "18, 25", "right side with A averaged over q, mean", NATS),
        ("eq18_averaged_median", "18, 25", "the same, median", NATS),
        ("eq18_error", "18, 25", "right side, averaged A, minus the gap, mean", NATS),
        ("eq18_correlation", "18, 25", "rank correlation of the two over images", "correlation"),
        ("eq20_error", "19, 20", "largest error of the minimum over Σ as log|J'WJ S² + I|", NATS),
        (
            "eq21_insensitivity",
            "21",
            "loss of the bound when all variances are doubled or halved, as a share of the bound",
            "share",
        ),
        ("eq22_measured", "22", "cost of a constant Σ on the same decoder and μ", NATS),
        ("eq22_error", "22", "its standard error over images", NATS),
        ("eq22_share", "22", "the cost as a share of the bound", "share"),
        ("eq22_predicted", "22", "½(log|E A| − E log|A|)", NATS),
        ("eq22_second_order", "22", "¼ tr CV²", NATS),
        (
            "eq22_misfit",
            "22",
            "|predicted − measured| over two standard errors or a quarter of the measured",
            "ratio",
        ),
        ("eq22_second_order_misfit", "22", "the same of ¼ tr CV²", "ratio"),
        ("eq22_full_measured", "22", "cost of a constant full Σ", NATS),
        ("eq22_full_predicted", "22", "½(log|E A| − E log|A|) of full A", NATS),
        ("eq22_full_misfit", "22", "misfit of the two", "ratio"),
        ("eq23_error", "23", "Eq. 23 minus Eq. 2 with a full S² of Eq. 4, relative", "ratio"),
        ("eq24_error", "24", "Eq. 24 minus Eq. 2 with S² of Eq. 4, relative", "ratio"),
        ("eq24_batch_bias", "24", "how much Eq. 24 of batches flatters the bound", NATS),
        ("eq24_batch_bias_predicted", "24", "½ Σ (M/(σ² + M))²/B", NATS),
        (
            "eq26_error",
            "26, 27",
            "determinant of m × m against that of n × n, largest difference",
            NATS,
        ),
        ("eq28_information", "28", "u = tr Σ⁻¹S² over u* = max(n, τ(m − n)), log", "log ratio"),
        ("eq28_information_active", "28", "the same with the active dimensions' u*", "log ratio"),
        ("eq30_error", "29, 30", "Eq. 30 minus Eq. 24 with the T of Eq. 29, relative", "ratio"),
    )
}
"""By name, in the order of the paper."""

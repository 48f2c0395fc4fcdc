"""The model of config/paper_values.yaml: the paper's numbers and claims, with their criteria."""

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from vaebench.claims.registry import EXPERIMENTS, load_statistics, wrong_arguments
from vaebench.errors import UserError
from vaebench.experiment.grid import Strict
from vaebench.experiment.messages import describe as describe_error
from vaebench.experiment.settings import AxisValue, Name, Settings, known_parameters
from vaebench.experiment.tier import Tier
from vaebench.yaml_text import read_yaml


def _check_settings(settings: dict[str, AxisValue]) -> dict[str, AxisValue]:
    for name in settings:
        if name not in Settings.model_fields and name not in known_parameters():
            raise ValueError(f"'{name}' is no setting of a run")
    return settings


AS_IN_PAPER: dict[str, AxisValue | None] = {
    "precision": "float32",
    "schedule": "constant",
    "weight_decay": None,
    "held_out": None,
}
"""How the paper trains where a set of settings does not say otherwise."""


def in_full(settings: Mapping[str, AxisValue], known: Container[str]) -> dict[str, Any]:
    """Settings of the paper's runs, with those that go without saying.

    Args:
        settings: what is said.
        known: the settings that the runs have which they are compared with.
    """
    unsaid = {name: value for name, value in AS_IN_PAPER.items() if name in known}
    return unsaid | dict(settings)


RunSettings = Annotated[dict[str, AxisValue], AfterValidator(_check_settings)]


AfterSeeing = Annotated[
    bool,
    Field(
        description="Whether this was written or changed when some of the runs that decide it had "
        "been seen. They count in the verdict, which is marked. (Other runs than the paper's "
        "decide without a mark.)"
    ),
]


class Number(Strict):
    """Bounds that the paper prints for single runs, or a difference of two."""

    id: Name
    place: str
    after_seeing: AfterSeeing = False
    settings: RunSettings = Field(
        description="The settings of the runs that the number speaks of; it is compared with, and "
        "shown beside, runs that have all of these."
    )
    minus: RunSettings | None = Field(
        None,
        description="The settings of other runs. If given, a value is the difference of two runs "
        "of one seed, the one with `settings` minus this.",
    )
    values: list[float] = Field(description="Test bounds in nats, a run each.", min_length=1)
    resolution: Annotated[float, Field(gt=0)] = Field(
        description="A prediction interval that is wider than twice this, in nats, cannot confirm "
        "the number. It can exclude it."
    )


class Claim(Strict):
    """A claim in words, and the statistic that decides it."""

    id: Name
    place: str
    says: str = Field(
        description="The claim, in our words; {n} stands for the latent dimension of the runs."
    )
    paper: str = Field("", description="What the paper gives, where it is a number.")
    after_seeing: AfterSeeing = False
    statistic: str
    arguments: dict[str, AxisValue] = Field(default_factory=dict)
    unit: str
    above: float | None = Field(None, description="The claim holds if the mean is above this.")
    below: float | None = Field(None, description="The claim holds if the mean is below this.")
    within: float | None = Field(
        None,
        description="Equivalence margin: a claim of sameness holds if the whole interval of the "
        "mean lies between minus this and this.",
    )

    exactly: float | None = Field(
        None, description="The claim holds if the statistic, a count without error, equals this."
    )
    counted: bool = Field(
        False,
        description="Whether the statistic counts something. If all seeds then give the same "
        "number, and they are three or more, this number is judged without an interval.",
    )
    equivalent_within: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="If the whole interval lies between minus this and this, the reason says so, "
        "beside the verdict on the sign.",
    )

    @model_validator(mode="after")
    def _can_be_judged(self) -> "Claim":
        statistics = load_statistics()
        if self.statistic not in statistics:
            raise ValueError(f"statistic '{self.statistic}' is not one of: {', '.join(statistics)}")
        if wrong := wrong_arguments(self.statistic, dict(self.arguments)):
            raise ValueError(wrong)
        criteria = (self.above, self.below, self.within, self.exactly)
        if sum(criterion is not None for criterion in criteria) != 1:
            raise ValueError("give one of: above, below, within, exactly")
        return self

    @property
    def expects(self) -> str:
        """The criterion, in words."""
        if self.within is not None:
            return f"within ±{self.within:g}"
        if self.exactly is not None:
            return f"exactly {self.exactly:g}"
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"


class OwnClaim(Claim):
    """A claim of a tier's config, which is not the paper's."""

    place: str = ""
    experiment: Name | None = Field(
        None, description="The experiment whose runs decide it; any that has them if not given."
    )


class OwnClaims(Strict):
    """The claims of a tier's config, or of the file that it names."""

    claims: list[OwnClaim]


class PaperValues(Strict):
    """config/paper_values.yaml."""

    trainings: list[RunSettings] = Field(
        description="The settings of the paper's runs, a set for each way of training. Runs "
        "that have one of these sets were trained as in the paper; verdicts on others are marked."
    )
    numbers: list[Number]
    claims: list[Claim]

    @model_validator(mode="after")
    def _ids_differ(self) -> "PaperValues":
        ids = [number.id for number in self.numbers] + [claim.id for claim in self.claims]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two entries have the id '{name}'")
        return self


def own_claims(tier: Tier) -> list[OwnClaim]:
    """Check and return the claims that a tier's config adds to the paper's.

    Raises:
        UserError: one is wrong, names no experiment of the tier, or two have the same id.
    """
    try:
        claims = OwnClaims.model_validate({"claims": tier.own_claims}).claims
    except ValidationError as error:
        raise UserError(f"tier '{tier.tier}' is refused:\n{describe_error(error)}") from None
    ids = [claim.id for claim in claims]
    for place, claim in enumerate(claims):
        if ids.count(claim.id) > 1:
            raise UserError(f"claims.{place}.id: two claims have the id '{claim.id}'")
        if claim.experiment is not None:
            tier.experiment(claim.experiment)
        for name in sorted(EXPERIMENTS & claim.arguments.keys()):
            tier.experiment(str(claim.arguments[name]))
    return claims


def load_paper_values(path: Path) -> PaperValues:
    """Read and check the paper's numbers and claims.

    Raises:
        UserError: the file is missing or wrong; names the key.
    """
    try:
        return PaperValues.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path} is refused:\n{describe_error(error)}") from None

"""The settings of a run, their text in paths, and their digest."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from vaebench.conditioning import OBSERVED
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.plugins import hint
from vaebench.families import POSTERIORS
from vaebench.files import digest_bytes
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.parameters import Parameter

NAME = r"^[a-z0-9]+([-_][a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Positive = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]

AxisValue = str | int | float


class Settings(BaseModel):
    """All settings that decide the result of a run. Runs with equal settings are the same run.

    Beside these fields, a run has a value for each parameter that its objective, its likelihood,
    its posterior and its network declare, see `own_parameters`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    dataset: Name = Field(description="Name of the dataset: one of those below, or your own.")
    likelihood: Name = Field(description="Likelihood p(x|z): one of those below, or your own.")
    objective: Name = Field(description="Training objective: one of those below, or your own.")
    posterior: Name | None = Field(
        None,
        description="Family of posteriors q(z|x): one of those below. Only for objectives that "
        "allow several. Default: their first one.",
    )
    prior: Name | None = Field(
        None,
        description="Family of priors p(z): one of those below. Only for objectives that "
        "allow several. Default: their first one.",
    )
    latent_dim: int = Field(ge=1, le=100_000, description="Latent dimension n.")
    latent_scale: Positive = Field(
        1.0,
        description="c: a fixed factor on the codes of the encoder. The decoder's input is "
        "divided by it (Fig. 8).",
    )
    network: Name = Field(
        description="Network of encoder and decoder: one of those below, or your own."
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="The precision of the layers. bfloat16 and tf32 are faster and give other "
        "results. tf32 needs a CUDA GPU.",
    )
    batch_size: Count = Field(description="Images in a batch.")
    learning_rate: Positive = Field(description="Adam's step size.")
    schedule: Literal["constant", "constant-cosine", "cosine"] = Field(
        "constant",
        description="The step size during training. `cosine`: it falls to 0 along half a cosine. "
        "`constant-cosine`: it is constant for 80% of the steps, and then falls in "
        "this way.",
    )
    weight_decay: Positive | None = Field(
        None,
        description="Decoupled weight decay (AdamW): in each step, each weight is reduced by "
        "itself times this number times the step size. Biases, and standard deviations that are "
        "parameters, are not.",
    )
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Share of the training images that is held out. Their bound is recorded "
        "during training. All runs hold out the same images.",
    )
    epochs: Count | None = Field(
        None, description="Passes over the training set. Give this or `steps`."
    )
    steps: Count | None = Field(None, description="Optimisation steps, in place of `epochs`.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        description="The seed of the run's random streams: initial weights, data order and noise."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Fill in defaults of parameters, and take 1 for 1.0 where a number is wanted."""
        if not isinstance(values, dict):
            return values
        # Records of former versions have nulls for parameters that a run does not take.
        filled = {k: v for k, v in values.items() if v is not None or k in cls.model_fields}
        for kind in FAMILIES:
            choices = _families(filled, kind)
            if len(choices) > 1 and filled.get(kind) is None:
                filled[kind] = choices[0]
        for name, parameter in own_parameters(filled).items():
            if name not in filled and parameter.default is not None:
                filled[name] = parameter.default
            if name in filled:
                filled[name] = parameter.coerced(filled[name])
        for name in FLOATS:
            if type(filled.get(name)) is int:
                filled[name] = float(filled[name])
        # In one order, whatever the order in a config, since texts of settings are compared.
        return {name: filled[name] for name in sorted(filled, key=_place)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, registry in REGISTRIES.items():
            if (value := getattr(self, key)) not in registry:
                known = ", ".join(registry)
                raise ValueError(f"{key} '{value}' is not one of: {known}{hint(value)}")
        self._check_families()
        if reason := incompatibility(self.objective, self.likelihood, self.posterior_family):
            raise ValueError(reason)
        if self.is_conditional and not NETWORKS[self.network].conditional:
            able = ", ".join(name for name, one in NETWORKS.items() if one.conditional)
            raise ValueError(
                f"objective '{self.objective}' predicts hidden pixels from observed ones, which "
                f"network '{self.network}' cannot: use one of {able}"
            )
        parameters = own_parameters(self.model_dump())
        for name in self.__pydantic_extra__ or {}:
            if name not in parameters:
                raise ValueError(
                    f"{name} has no meaning with objective '{self.objective}', likelihood "
                    f"'{self.likelihood}' and network '{self.network}': leave it out"
                )
        for name, parameter in parameters.items():
            if (value := self.get(name)) is None:
                owner = _owner(name, self.model_dump())
                raise ValueError(f"{owner} needs {name}: give it a value")
            if problem := parameter.problem(value):
                raise ValueError(f"{name} {problem} (found {value!r})")
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, one of them")
        return self

    def _check_families(self) -> None:
        for kind in sorted(FAMILIES):
            choices, found = _families(self.model_dump(), kind), getattr(self, kind)
            if len(choices) == 1 and found is not None:
                raise ValueError(
                    f"{kind} has no meaning with objective '{self.objective}', which is for the "
                    f"{kind} '{choices[0]}' only: leave it out"
                )
            if len(choices) > 1 and found not in choices:
                raise ValueError(
                    f"{kind} '{found}' is not one of those that objective '{self.objective}' is "
                    f"for: {', '.join(choices)}"
                )

    @model_serializer(mode="wrap")
    def _without_later_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of runs without a later setting stay as they were before there was one."""
        values = handler(self)
        return {k: v for k, v in values.items() if v is not None or k not in LATER}

    @property
    def digest(self) -> str:
        """SHA-256 of the settings as sorted JSON, without nulls, with numbers as in paths."""
        values = {k: v if isinstance(v, str) else format_value(v) for k, v in self.given().items()}
        return digest_bytes(json.dumps(values, sort_keys=True).encode())

    def given(self) -> dict[str, AxisValue]:
        """The settings that are not null: the fields in their order, then the parameters."""
        return self.model_dump(exclude_none=True)

    def get(self, name: str) -> Any:
        """A setting by name. None if the run does not have it."""
        if name in type(self).model_fields:
            return getattr(self, name)
        return (self.__pydantic_extra__ or {}).get(name)

    @property
    def is_conditional(self) -> bool:
        """Whether the run predicts hidden pixels of an image from observed ones."""
        return OBJECTIVES[self.objective].conditioning is not None

    def refuse_conditional(self, what: str) -> None:
        """Refuse what is defined for models of whole images only.

        Raises:
            UserError: the run predicts hidden pixels from observed ones.
        """
        if self.is_conditional:
            raise UserError(
                f"objective '{self.objective}' predicts hidden pixels from observed ones, so that "
                f"{what} is not defined for it: measure `dependence` instead"
            )

    @property
    def posterior_family(self) -> str:
        """The family of posteriors, even if it is not a setting."""
        return self.posterior or OBJECTIVES[self.objective].posterior[0]

    @property
    def prior_family(self) -> str:
        """The family of priors, even if it is not a setting."""
        return self.prior or OBJECTIVES[self.objective].prior[0]


def _place(name: str) -> tuple[int, str]:
    """The place of a setting: fields in their order, then parameters by name."""
    fields = list(Settings.model_fields)
    return (fields.index(name), "") if name in fields else (len(fields), name)


REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "dataset": DATASETS,
    "objective": OBJECTIVES,
    "likelihood": LIKELIHOODS,
    "network": NETWORKS,
}
"""What the settings of these names may be."""
FAMILIES = {"posterior", "prior"}
LATER = {"weight_decay", "held_out"}
"""Optional settings that former versions did not have."""
FLOATS = tuple(k for k, v in Settings.model_fields.items() if "float" in str(v.annotation))


def _families(values: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """The posteriors or priors that the objective of these settings can be used with."""
    objective = OBJECTIVES.get(str(values.get("objective")))
    return () if objective is None else getattr(objective, kind)


def own_parameters(values: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters that a run with these settings has, by name. Unknown names declare none.

    Raises:
        ValueError: two parts of the run declare a parameter of the same name, or one is named like
            a setting of all runs.
    """
    found: dict[str, Parameter] = {}
    owners: dict[str, str] = {}
    for owner, parameters in _declarations(values):
        for name, parameter in parameters.items():
            if name in Settings.model_fields:
                raise ValueError(f"{owner}: its parameter '{name}' is a setting of all runs")
            if name in found and found[name] != parameter:
                raise ValueError(f"{owners[name]} and {owner} both declare the parameter '{name}'")
            found[name], owners[name] = parameter, owner
    return found


def known_parameters() -> dict[str, Parameter]:
    """The parameters of everything that is registered, by name: what a config may have as keys."""
    parts: list[Any] = [*OBJECTIVES.values(), *LIKELIHOODS.values()]
    parts += [*POSTERIORS.values(), *NETWORKS.values()]
    found: dict[str, Parameter] = {"observed": OBSERVED}
    for part in parts:
        for name, one in part.parameters.items():
            known = found.setdefault(name, one)
            if known.type is not one.type:
                raise UserError(
                    f"the parameter '{name}' is declared as {known.range} and as {one.range}: "
                    "parameters of one name have one type, so give yours another name"
                )
            found[name] = one
    return found


def taken_settings(values: Mapping[str, Any]) -> set[str]:
    """The names of the settings that a run with these values has, given or not."""
    families = {kind for kind in FAMILIES if len(_families(values, kind)) > 1}
    return (Settings.model_fields.keys() - FAMILIES) | families | own_parameters(values).keys()


def can_be_packed(axis: str) -> bool:
    """Whether runs that differ in this setting have equal tensor shapes and steps."""
    if axis in ("seed", "latent_scale"):
        return True
    parameter = known_parameters().get(axis)
    return parameter is not None and parameter.can_be_packed


def _declarations(values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Parameter]]]:
    """What declares parameters in a run with these settings, each with its parameters."""
    for kind in ("objective", "likelihood", "network"):
        name, registry = str(values.get(kind)), REGISTRIES[kind]
        if name in registry:
            yield f"{kind} '{name}'", registry[name].parameters
    objective = OBJECTIVES.get(str(values.get("objective")))
    if objective is not None and objective.conditioning is not None:
        yield "a conditional objective", {"observed": OBSERVED}
    choices = _families(values, "posterior")
    family = values.get("posterior") or (choices[0] if choices else None)
    if isinstance(family, str) and family in POSTERIORS:
        yield f"posterior '{family}'", POSTERIORS[family].parameters


def _owner(parameter: str, values: Mapping[str, Any]) -> str:
    return next(owner for owner, own in _declarations(values) if parameter in own)


def incompatibility(objective: str, likelihood: str, posterior: str) -> str | None:
    """Why an objective with this posterior cannot go with a likelihood. None if it can."""
    if LIKELIHOODS[likelihood].posterior == "constant" and POSTERIORS[posterior].varies:
        return (
            f"likelihood '{likelihood}' cannot go with objective '{objective}': it measures the "
            "information tr Sigma^-1 S^2 of one constant Sigma, and this objective learns another "
            "Sigma for each example; use an objective with a constant posterior, such as bilbo"
        )
    return None


def message_of(error: Mapping[str, Any]) -> str:
    """What is wrong, by an entry of a validation error, without patterns and their like."""
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        return "should be one name of lower-case letters and digits, joined by hyphens"
    if error["type"] == "model_type":
        return "should be a mapping of keys and values"
    return str(error["msg"]).removeprefix("Value error, ")


def format_value(value: AxisValue) -> str:
    """The text of a setting's value in paths, tables and digests.

    Equal numbers have the same text: 1 and 1.0 are `1`, 0.10 is `0.1`.
    """
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def axis_folder(axis: str, value: AxisValue) -> str:
    """The name of the folder for the runs that have this value on an axis."""
    return f"{axis}~{format_value(value)}"

"""The settings of a run, their text in paths, and their digest."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vaebench.data.registry import DATASETS
from vaebench.files import digest_bytes
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

AxisValue = str | int | float


class Settings(BaseModel):
    """All settings that decide the result of a run. Runs with equal settings are the same run.

    A setting that the objective, likelihood or network does not take is null. It must not be given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: Name = Field(description="Name of the dataset, see data/.")
    likelihood: Name = Field(description="Likelihood p(x|z), see likelihoods.py.")
    objective: Name = Field(description="Training objective, see objectives.py.")
    latent_dim: Count = Field(description="Latent dimension n.")
    posterior_std: Positive | None = Field(
        None,
        description="sigma: standard deviation of a constant posterior in every dimension; 1 if "
        "not given. Only for objectives with a constant posterior.",
    )
    latent_scale: Positive = Field(
        1.0,
        description="c: hard-coded factor on the encoder's output, its inverse on the decoder's "
        "input (Fig. 8).",
    )
    data_scale: Positive | None = Field(
        None,
        description="lambda: factor on the data, at the network's input and in the likelihood "
        "(Figs. 6, 10); 1 if not given. Only for Gaussian likelihoods.",
    )
    tau: Positive | None = Field(
        None,
        description="tau: the information factor of BAGGINS (Eq. 29). Only for likelihoods that "
        "take it, and needed there: the paper has no value for all runs.",
    )
    network: Name = Field(description="Network of encoder and decoder, see models/.")
    hidden_units: Count | None = Field(
        None, description="Units of each hidden layer. Only for network mlp, and needed there."
    )
    hidden_layers: Count | None = Field(
        None,
        description="Hidden layers of encoder and decoder, each. Only for network mlp, and needed "
        "there.",
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="Numbers in which layers are computed. Others than float32 are faster and give "
        "other results; tf32 needs a CUDA GPU.",
    )
    batch_size: Count = Field(description="Images in a batch.")
    learning_rate: Positive = Field(description="Adam's step size.")
    schedule: Literal["constant", "constant-cosine"] = Field(
        "constant",
        description="The step size during training: `constant-cosine` keeps it for 80% of the "
        "steps and then brings it to 0 along half a cosine.",
    )
    epochs: Count | None = Field(
        None, description="Passes over the training set; give this or `steps`."
    )
    steps: Count | None = Field(
        None, description="Optimisation steps, whatever the size of the training set."
    )
    seed: Annotated[int, Field(ge=0)] = Field(
        description="Names the run's random streams: initial weights, data order and noise."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_optional(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for key in NEUTRAL.keys() & applicable_settings(filled):
            if filled.get(key) is None:
                filled[key] = NEUTRAL[key]
        return filled

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        registries: dict[str, Iterable[str]] = {
            "dataset": DATASETS,
            "objective": OBJECTIVES,
            "likelihood": LIKELIHOODS,
            "network": NETWORKS,
        }
        for key, registry in registries.items():
            if (value := getattr(self, key)) not in registry:
                raise ValueError(f"{key} '{value}' is not one of: {', '.join(registry)}")
        if reason := incompatibility(self.objective, self.likelihood):
            raise ValueError(reason)
        applicable = applicable_settings(self.model_dump())
        for key in sorted(OPTIONAL):
            if key not in applicable and getattr(self, key) is not None:
                raise ValueError(
                    f"{key} has no meaning with objective '{self.objective}', likelihood "
                    f"'{self.likelihood}' and network '{self.network}': leave it out"
                )
            if key in applicable and getattr(self, key) is None:
                taker = "likelihood" if key == "tau" else "network"
                raise ValueError(f"{taker} '{getattr(self, taker)}' needs {key}: give it a value")
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, one of them")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the settings as sorted JSON, without nulls, with numbers as in paths."""
        values = {k: v if isinstance(v, str) else format_value(v) for k, v in self.given().items()}
        return digest_bytes(json.dumps(values, sort_keys=True).encode())

    def given(self) -> dict[str, AxisValue]:
        """The settings that are not null, in the order of the fields."""
        return self.model_dump(exclude_none=True)


NEUTRAL: dict[str, AxisValue] = {"posterior_std": 1.0, "data_scale": 1.0}
"""Settings that only some objectives or likelihoods take, with their default value."""
OPTIONAL = NEUTRAL.keys() | {"tau", "hidden_units", "hidden_layers"}
"""Settings that only some objectives, likelihoods or networks take."""


def applicable_settings(values: dict[str, Any]) -> frozenset[str]:
    """The settings in `OPTIONAL` that a run with these values takes.

    Names that are not registered take none.
    """
    objective = OBJECTIVES.get(str(values.get("objective")))
    likelihood = LIKELIHOODS.get(str(values.get("likelihood")))
    network = NETWORKS.get(str(values.get("network")))
    of_posterior = {"posterior_std"} if objective and objective.posterior == "constant" else set()
    of_likelihood = likelihood.settings if likelihood else frozenset()
    return frozenset(of_posterior) | of_likelihood | (network.settings if network else frozenset())


def incompatibility(objective: str, likelihood: str) -> str | None:
    """Why an objective and a likelihood cannot be combined. None if they can."""
    if (
        LIKELIHOODS[likelihood].posterior == "constant"
        and OBJECTIVES[objective].posterior != "constant"
    ):
        return (
            f"likelihood '{likelihood}' cannot go with objective '{objective}': it measures the "
            "information tr Sigma^-1 S^2 of one constant Sigma, and this objective learns another "
            "Sigma for each example; use an objective with a constant posterior, such as bilbo"
        )
    return None


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

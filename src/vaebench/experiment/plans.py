"""How what is measured on the weights of finished runs is measured: a plan of each kind."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vaebench.errors import UserError
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.equations import EquationsPlan
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.latent import LatentPlan

P = TypeVar("P", bound=BaseModel)

PLANS: dict[str, type[BaseModel]] = {
    "evidence": EvidencePlan,
    "equations": EquationsPlan,
    "latent": LatentPlan,
    "dependence": DependencePlan,
}
"""By the name of what is measured. It is also the name of the command, of the entry in an
experiment and of the files beside a run."""


def plan_of(said: bool | P, usual: type[P]) -> P | None:
    """The plan that an entry of an experiment stands for. None if nothing is measured.

    Args:
        said: the entry: a plan, or whether to measure as usual.
        usual: the kind of the plan.
    """
    if isinstance(said, usual):
        return said
    return usual() if said else None


def changed(plan: P, changes: Mapping[str, Any]) -> P:
    """A plan with other values for some of its fields.

    Raises:
        UserError: there is no such field, or the value is not possible.
    """
    try:
        return type(plan).model_validate(plan.model_dump() | dict(changes))
    except ValidationError as error:
        item = error.errors()[0]
        kind = next(name for name, each in PLANS.items() if isinstance(plan, each))
        name = ".".join(str(part) for part in item["loc"])
        known = ", ".join(type(plan).model_fields)
        raise UserError(
            f"{kind}: {name}: {item['msg']} (found {changes.get(name)!r}; known: {known})"
        ) from None

"""The registry of objectives, and the decorator that adds to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from vaebench.conditioning import Conditioning
from vaebench.errors import UserError
from vaebench.families import POSTERIORS, PRIORS
from vaebench.parameters import Parameter, Value, declared, from_one_file, name_of

# Planning a workflow reads this registry. Importing torch would add seconds to every start.
if TYPE_CHECKING:
    from torch import Tensor

Bound = Callable[..., "Tensor"]
"""Takes a `core.batch.Batch`, and the parameters of the objective as keyword arguments. Returns the
value to maximise for each run, in nats per example, shape [run]."""
B = TypeVar("B", bound=Bound)


@dataclass(frozen=True)
class Objective:
    """A registered objective, with the posteriors and priors that it is for."""

    name: str
    bound: Bound
    posterior: tuple[str, ...]
    """The families of posteriors that it can be used with, the default first. If there are several,
    `posterior` is a setting of its runs."""
    prior: tuple[str, ...]
    """The same for priors."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    samples: int | str | None = None
    """The number K of draws of z for each example, or the name of the parameter that says it. None:
    one draw, and tensors have no dimension for the draws."""
    on_whole_set: bool = False
    """How its value on a whole set of images is computed. False: in batches of the training's size.
    True: with the whole set as one batch; it may then use only `posterior` and `log_likelihood`,
    and memory that is linear in the number of images."""
    conditioning: Conditioning | None = None
    """Which parts of the network see the observed pixels of an image. None: images are modelled as
    a whole. If it is given, `observed` is a setting of its runs."""

    @property
    def has_prior_network(self) -> bool:
        """Whether p(z|x) is computed from observed pixels."""
        return self.conditioning is not None and self.conditioning.prior

    def number_of_samples(self, settings: Mapping[str, Any]) -> int | None:
        """K of a run with these settings, see `samples`."""
        return int(settings[self.samples]) if isinstance(self.samples, str) else self.samples


OBJECTIVES: dict[str, Objective] = {}


def objective(
    *without_parentheses: Any,
    posterior: str | tuple[str, ...] = "diagonal",
    prior: str | tuple[str, ...] = "standard",
    parameters: Mapping[str, Parameter | Value] | None = None,
    samples: int | str | None = None,
    name: str | None = None,
    on_whole_set: bool = False,
    conditioning: Conditioning | None = None,
) -> Callable[[B], B]:
    """Register the decorated function as an objective.

    Args:
        *without_parentheses: nothing; it finds out whether the parentheses were forgotten.
        posterior: the family of posteriors, a name in `families.POSTERIORS`. Several names if the
            objective is right for each of them.
        prior: the same for priors, in `families.PRIORS`.
        parameters: its own settings, which the function takes as keyword arguments. Numbers are
            tensors of shape [run, 1] that multiply a quantity of each example. Whole numbers and
            texts are unchanged. A plain value is a default.
        samples: the number of draws of z for each example, or the name of a parameter.
        name: its name in configs. Default: the name of the function, with hyphens for underscores.
            A factory gives each of its objectives a name.
        on_whole_set: see `Objective.on_whole_set`.
        conditioning: see `Objective.conditioning`.

    Raises:
        UserError: the declaration is wrong. The text says what to change.
    """
    if without_parentheses:
        given = getattr(without_parentheses[0], "__name__", str(without_parentheses[0]))
        raise UserError(
            f"'{given}' is decorated with @objective: write the parentheses, such as "
            '@objective(posterior="diagonal", prior="standard")'
        )

    def register(bound: B) -> B:
        own = name or name_of(bound, "objective")
        owner = f"objective '{own}'"
        if own in OBJECTIVES and not from_one_file(OBJECTIVES[own].bound, bound):
            raise UserError(f"two objectives are named '{own}': give one of them another name")
        posteriors = _families(owner, "posterior", posterior, POSTERIORS)
        priors = _families(owner, "prior", prior, PRIORS)
        try:
            own_parameters = declared(owner, parameters or {}, bound)
        except ValueError as error:
            raise UserError(str(error)) from None
        _check_samples(owner, samples, own_parameters)
        if conditioning is not None and conditioning.prior and priors != ("standard",):
            raise UserError(
                f"{owner}: a prior that is computed from observed pixels is N(0, I) in its own "
                f'coordinates: write prior="standard" (found {", ".join(priors)})'
            )
        OBJECTIVES[own] = Objective(
            own, bound, posteriors, priors, own_parameters, samples, on_whole_set, conditioning
        )
        return bound

    return register


def _families(
    owner: str, kind: str, given: str | tuple[str, ...], known: Mapping[str, Any]
) -> tuple[str, ...]:
    chosen = (given,) if isinstance(given, str) else tuple(given)
    for one in chosen or ("",):
        if one not in known:
            raise UserError(f"{owner}: {kind} '{one}' is not one of: {', '.join(known)}")
    return chosen


def _check_samples(
    owner: str, samples: int | str | None, parameters: Mapping[str, Parameter]
) -> None:
    if isinstance(samples, str):
        parameter = parameters.get(samples)
        if parameter is None or parameter.type is not int or (parameter.minimum or 0) < 1:
            raise UserError(
                f"{owner}: samples names '{samples}', which has to be one of its parameters: a "
                "whole number with a minimum of at least 1"
            )
    elif samples is not None and (type(samples) is not int or samples < 1):
        raise UserError(f"{owner}: samples has to be a number from 1 on (found {samples!r})")

"""Checks an objective and a likelihood on two tiny batches, before anything is trained.

A wrong function would else end in a traceback, or in a result that is stored and means nothing.
"""

import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vaebench.core.batch import Batch, Clock
from vaebench.data.prepared import Arrays, load
from vaebench.errors import UserError
from vaebench.evaluation.elbo import Evaluation
from vaebench.experiment.settings import Settings, own_parameters
from vaebench.memory import named_shortage, shortage
from vaebench.numerics.streams import normal
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.sources import source_digest
from vaebench.training.held_out import held_out_count
from vaebench.training.pack import Pack, TrainingState, init_state
from vaebench.training.step import training_batch

EXAMPLES = 4
"""The number of images in a tiny batch."""
LEAST_IMAGES = 4
"""The smallest training set: two batches of two images each, for the checks here."""
REPEATS = 16
"""How often these are repeated for a set that shows how memory grows."""
MOST_GROWTH = 8
"""For four times the images: 4 where memory is linear, 16 where all pairs are compared."""


_checked: set[tuple[str, ...]] = set()
"""What was checked in this process."""


def check_packs(packs: Iterable[Sequence[Settings]], data: Path, device: torch.device) -> None:
    """Check the objectives and likelihoods of several packs before the first one is trained.

    Args:
        packs: the settings of their runs.
        data: the folder with `prepared/`.
        device: where they will be trained.

    Raises:
        UserError: as `check_objective`.
    """
    found: dict[str, Arrays] = {}
    for runs in packs:
        name = runs[0].dataset
        if name not in found:
            found[name] = load(data / "prepared", name)
        check_size(runs[0], len(found[name].train_images))
        check_once(runs, found[name], device)


def check_size(run: Settings, images: int) -> None:
    """Check that there are images enough for a batch.

    Args:
        run: the settings of a pack's first run.
        images: the number of training images.

    Raises:
        UserError: there are not.
    """
    if images < LEAST_IMAGES:
        raise UserError(
            f"dataset '{run.dataset}' has {images} training image{'s' * (images != 1)}: give "
            f"{LEAST_IMAGES} or more"
        )
    held = held_out_count(images, run.held_out)
    if run.batch_size > images - held:
        raise UserError(
            f"batch_size {run.batch_size} exceeds the {images - held} training images of "
            f"'{run.dataset}'{' that are not held out' * (held > 0)}: choose a smaller one"
        )


def check_once(runs: Sequence[Settings], data: Arrays, device: torch.device) -> None:
    """As `check_objective`, unless runs of these functions were checked in this process.

    Args:
        runs: the settings of a pack.
        data: the dataset.
        device: where the pack will be trained.

    Raises:
        UserError: as `check_objective`.
    """
    run = runs[0]
    families = (run.posterior_family, run.prior_family)
    # Others train in one pack, so that they cannot choose between two pieces of code.
    parameters = own_parameters(run.model_dump())
    choices = [
        f"{name}={run.given().get(name)}"
        for name, parameter in sorted(parameters.items())
        if not parameter.can_be_packed
    ]
    key = (source_digest(run), run.dataset, run.network, *families, str(device), *choices)
    if key not in _checked:
        with named_shortage(
            f"objective '{run.objective}' on a first batch of {EXAMPLES} images",
            "Choose a smaller latent_dim or network",
        ):
            check_objective(runs, data, device)
        _checked.add(key)


def check_objective(runs: Sequence[Settings], data: Arrays, device: torch.device) -> None:
    """Check what the objective and the likelihood of these runs return.

    Args:
        runs: the settings of a pack.
        data: the dataset. A few images of it are used.
        device: where the pack will be trained.

    Raises:
        UserError: a function is wrong. The text names it, what it returned and what is expected.
    """
    # Two runs at least, so that one can be changed to see whether the other one notices.
    first = runs[0]
    pair = [first, first.model_copy(update={"seed": first.seed + 1})]
    count = min(EXAMPLES, len(data.train_images) // 2)
    few = Arrays(
        data.train_images[: 2 * count],
        data.train_labels[: 2 * count],
        data.test_images[:count],
        data.test_labels[:count],
    )
    # A share of so few images may be none.
    sized = [run.model_copy(update={"batch_size": count, "held_out": None}) for run in pair]
    pack = Pack.of(sized, few, device)
    net = f"network '{first.network}'"
    before = _global_states(device)
    state = _guarded(lambda: init_state(pack), net)
    _check_generators(before, device, net)
    name = f"objective '{first.objective}'"
    for step in (0, max(pack.steps - 1, 0)):
        one, two = (_rows(pack, places) for places in ((0, 0), (1, 0)))
        value = _value(pack, state, one, step, name)
        _check_value(value, pack, state, name)
        again = _value(pack, state, one, step, name)
        if not _equal(value, again):
            raise UserError(
                f"{name} gives another value each time for the same batch "
                f"({_shown(value)}, then {_shown(again)}): draw random numbers with "
                "batch.noise(name, *shape), which are the run's own"
            )
        changed = _value(pack, state, two, step, name)
        if not _equal(value[1:], changed[1:]):
            raise UserError(
                f"{name}: the value of one run changes with the data of another "
                f"({_shown(value[1:])}, then {_shown(changed[1:])}): runs are stacked in the first "
                "dimension of all tensors; reduce over the others only"
            )
    if pack.vae.objective.on_whole_set:
        whole = f"{name} with on_whole_set=True"
        few_images = _guarded(lambda: pack.evaluate(state.parameters, "test"), whole)
        _check_growth(pack, few_images, name)


def _rows(pack: Pack, places: tuple[int, int]) -> Tensor:
    """The images of each run: those of its place, first or second."""
    count = pack.shared.batch_size
    rows = [torch.arange(count) + place * count for place in places]
    return torch.stack(rows).to(pack.train_images.device)


def _value(pack: Pack, state: TrainingState, rows: Tensor, step: int, name: str) -> Any:
    """What the objective gives. Torch's global generators must not be drawn from."""
    device = pack.train_images.device
    shape = (rows.shape[1] * pack.draws, pack.vae.network.latent_dim)
    noise = normal(pack.vae.seeds, "noise", 0, shape, device)
    before = _global_states(device)
    batch = _guarded(
        lambda: training_batch(pack, state.parameters, rows, noise, step),
        f"likelihood '{pack.shared.likelihood}'",
    )
    _check_generators(before, device, f"likelihood '{pack.shared.likelihood}'")
    _check_likelihood(batch, pack, pack.shared.likelihood)
    inputs = _inputs(batch, pack)
    versions = {what: tensor._version for what, tensor in inputs.items()}
    value = _guarded(lambda: pack.vae.value(batch), name)
    _check_generators(before, device, name)
    for what, tensor in inputs.items():
        if tensor._version != versions[what]:
            raise UserError(
                f"{name} changes {what} in place, which others use after it: write "
                "`value = value - kl` and not `value -= kl`, and no method that ends in `_`"
            )
    return value


def _inputs(batch: Batch, pack: Pack) -> dict[str, Tensor]:
    """The tensors that an objective gets, by what a message calls them."""
    found = {
        "batch.x": batch.x,
        "batch.z": batch.z,
        "batch.log_likelihood": batch.log_likelihood,
        "batch.posterior.mean": batch.posterior.mean,
        "batch.posterior.std": batch.posterior.std,
        **{
            f"its parameter '{name}'": value
            for name, value in pack.vae.objective_parameters.items()
        },
    }
    return {what: one for what, one in found.items() if isinstance(one, Tensor)}


def _check_value(value: Any, pack: Pack, state: TrainingState, name: str) -> None:
    wanted = (
        f"a tensor with the value of each run, shape [{len(pack.runs)}] for {len(pack.runs)} runs"
    )
    if not isinstance(value, Tensor):
        raise UserError(f"{name} returned {type(value).__name__}: it should return {wanted}")
    if value.shape != (len(pack.runs),):
        hint = ""
        if value.shape[:1] == (len(pack.runs),):
            hint = "; average over the other dimensions, such as .mean(-1)"
        elif value.ndim == 0:
            hint = "; average over the batch with .mean(-1), not over everything with .mean()"
        raise UserError(
            f"{name} returned a tensor of shape {list(value.shape)}: it should return "
            f"{wanted}{hint}"
        )
    if not value.dtype.is_floating_point:
        raise UserError(f"{name} returned numbers of type {value.dtype}: it should return floats")
    parameters = list(state.parameters.values())
    gradients: Sequence[Tensor | None] = [None]
    if value.requires_grad:
        gradients = _guarded(
            lambda: torch.autograd.grad(
                value.sum(), parameters, allow_unused=True, retain_graph=True
            ),
            f"the gradient of {name} or of likelihood '{pack.shared.likelihood}'",
        )
    if all(one is None for one in gradients):
        raise UserError(
            f"{name} returned a value without a gradient: compute it from the batch's tensors with "
            "torch, without .detach(), .item(), numpy or torch.no_grad()"
        )


def _check_growth(pack: Pack, found: Evaluation, name: str) -> None:
    """Check that the memory for a whole set is linear in the number of images.

    A set of 60,000 images has 3.6e9 pairs, and is met only after training.

    Args:
        pack: of the runs.
        found: its evaluation on a few images, which are repeated here.
        name: of the objective, for the message.
    """
    nothing = found.posterior.mean[..., :0]
    end = Clock(step=1, steps=1, steps_per_epoch=1)

    def largest(repeats: int) -> int:
        many = found.posterior.changed(
            lambda values: values.repeat(1, repeats if values.shape[1] > 1 else 1, 1)
        )
        densities = found.log_likelihood.repeat(1, repeats).to(nothing)
        whole = Batch(nothing, many, nothing, densities, pack.vae.prior, len(densities[0]), end)
        with LargestTensor() as seen:
            pack.vae.value(whole)
        count: int = seen.numbers
        return count

    one, other = largest(REPEATS), largest(4 * REPEATS)
    if other > MOST_GROWTH * one:
        raise UserError(
            f"{name} has on_whole_set=True and needs memory that grows faster than the set: a "
            f"tensor has {one:,} numbers for {REPEATS * len(found.log_likelihood[0])} images and "
            f"{other:,} for four times as many, and a set has thousands. Leave on_whole_set out: "
            "then its value is computed in batches"
        )


class LargestTensor(TorchFunctionMode):
    """Notes the size of the largest tensor that torch returns while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See `TorchFunctionMode`."""
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.itemsize)
        return result


def _check_likelihood(batch: Batch, pack: Pack, likelihood: str) -> None:
    draws = () if pack.vae.draws is None else (pack.vae.draws,)
    wanted = (len(pack.runs), *draws, batch.x.shape[1])
    if batch.log_likelihood.shape != wanted:
        raise UserError(
            f"likelihood '{likelihood}' returned a tensor of shape "
            f"{list(batch.log_likelihood.shape)}: it should return log p(x|z) of each example, "
            f"shape {list(wanted)}; sum over the pixels with .sum(-1)"
        )


def _guarded(call: Callable[[], Any], name: str) -> Any:
    """The result of a call. An exception of a user's function becomes an error that names it."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        if shortage(error):
            raise
        frames = list(traceback.extract_tb(error.__traceback__))
        frames = [f for f in frames if "/torch/" not in f.filename] or frames
        own = [f for f in frames if PACKAGE not in Path(f.filename).parents] or frames
        line = f"{own[-1].filename}, line {own[-1].lineno}"
        raise UserError(
            f"{name} fails on a first batch: {type(error).__name__}: {error} ({line})"
        ) from error


def _global_states(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _check_generators(before: list[Tensor], device: torch.device, name: str) -> None:
    if not all(map(torch.equal, before, _global_states(device))):
        raise UserError(
            f"{name} draws from torch's global random numbers, which differ each time: an "
            "objective draws with batch.noise(name, *shape), which belong to the run; a likelihood "
            "and a network must not draw any"
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _shown(value: Tensor) -> str:
    return ", ".join(f"{number:.6g}" for number in value.detach().flatten()[:2].tolist())

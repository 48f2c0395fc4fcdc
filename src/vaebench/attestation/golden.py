"""The golden set: what is trained to compare two versions of the code.

It has the paper's objectives with every likelihood they go with, on both networks and in every
precision that this machine has, at the shapes of the tiers, and every other objective with every
posterior and prior that it is for, once. The data are made from a seed.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from vaebench.experiment.settings import Settings, incompatibility, own_parameters
from vaebench.files import digest_bytes
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES
from vaebench.parameters import Parameter
from vaebench.runs.canonical import PACKAGE, module_digest

PAPER = ("learned", "constant", "bilbo")
WORKER = Path(__file__).with_name("worker.py")
PACK: Mapping[str, list[Any]] = {
    "seed": [0, 1, 2],
    "posterior_std": [1.0, 0.5, 2.0],
    "latent_scale": [1.0, 1.0, 3.0],
    "data_scale": [1.0, 3.0, 0.3],
    "tau": [0.2, 1.0, 0.5],
}
"""The values of the packed axes in a pack of three runs. Other parameters have their default times
1, 1/2 and 2/3, or 1, 1/2 and 2/3 if it is 0."""
FACTORS = (1.0, 0.5, 2 / 3)
SHARED: dict[str, Any] = {"learning_rate": 0.001, "latent_dim": 2}
MLP = SHARED | {
    **{"dataset": "mnist", "network": "mlp", "hidden_units": 200, "hidden_layers": 3},
    **{"batch_size": 300, "epochs": 8},
}
CONV = SHARED | {"dataset": "celeba", "network": "conv"}
BRIEF = {"batch_size": 20, "steps": 6, "epochs": None, "schedule": "constant-cosine"}


@dataclass(frozen=True)
class Case:
    """A pack that both versions train, or measurements that both make."""

    name: str
    parts: list[str]
    """The parts of the code that it depends on, as `runs.sources` names them."""
    runs: list[dict[str, Any]]
    """The settings of the pack's runs."""
    shape: list[int]
    """Of an image."""
    train: int
    """How many training images."""
    test: int
    quality: bool = field(default=False)
    """Whether to measure samples of the pack's first run too, by a classifier that is trained."""


def golden_set() -> list[Case]:
    """All cases."""
    return list(_cases())


def golden_digest(cases: list[Case]) -> str:
    """The digest of what is trained, and of the program that trains it."""
    text = json.dumps([asdict(case) for case in cases], sort_keys=True)
    return digest_bytes(f"{text}\n{module_digest(WORKER)}".encode())


def case_file(name: str) -> str:
    """The stem of the files of a case, as the worker names them."""
    return digest_bytes(name.encode())[:16]


def _cases() -> Iterator[Case]:
    for objective in PAPER:
        for likelihood in LIKELIHOODS:
            if incompatibility(objective, likelihood, OBJECTIVES[objective].posterior[0]):
                continue
            names = {"objective": objective, "likelihood": likelihood}
            for n in (2, 100):
                yield _case(names | MLP | {"latent_dim": n}, members=[0, 1, 2])
            yield _case(names | MLP, members=[2])
            yield _case(names | MLP | BRIEF | {"precision": "bfloat16"}, members=[0, 1])
            yield _case(names | CONV | BRIEF, members=[0, 1], side=16)
            # Where the processor has no bfloat16, convolutions in it are slow: a small image.
            yield _case(names | CONV | BRIEF | {"precision": "bfloat16"}, members=[0], side=8)
    for name, other in OBJECTIVES.items():
        if name in PAPER or PACKAGE not in Path(inspect.getfile(other.bound)).parents:
            continue
        for posterior, prior in product(other.posterior, other.prior):
            chosen = {"posterior": posterior} if len(other.posterior) > 1 else {}
            chosen |= {"prior": prior} if len(other.prior) > 1 else {}
            names = {"objective": name, "likelihood": "bernoulli"} | chosen
            yield _case(names | MLP | BRIEF | {"latent_dim": 5}, members=[0, 1])
    # What a run may ask of its training.
    names = {"objective": "learned", "likelihood": "bernoulli"}
    asked = {"epochs": 3, "schedule": "cosine", "weight_decay": 0.1, "held_out": 0.2}
    yield _case(names | MLP | asked, members=[0, 1], note="cosine, weight decay, held out")
    # The shapes of the tier on CelebA.
    large = {"batch_size": 100, "steps": 2, "epochs": None, "latent_dim": 16}
    for objective in ("learned", "bilbo"):
        names = {"objective": objective, "likelihood": "gaussian-coordinate"}
        yield _case(names | CONV | BRIEF | large, members=[0], side=64)
    names = {"objective": "bilbo", "likelihood": "bernoulli"}
    yield _case(names | MLP | {"epochs": 2}, members=[0], quality=True)


def _case(
    settings: Mapping[str, Any],
    members: list[int],
    side: int = 28,
    quality: bool = False,
    note: str = "",
) -> Case:
    """A case.

    Args:
        settings: what the runs share.
        members: which runs of the pack of three.
        side: of an image; those of the convolutional network are in colour.
        quality: whether samples are measured too.
        note: what else its name says.
    """
    shared = {key: value for key, value in settings.items() if value is not None}
    taken = {"seed": Parameter(0), "latent_scale": Parameter(1.0)} | own_parameters(shared)
    packed = {
        axis: PACK.get(axis) or [float(one.default or 1.0) * factor for factor in FACTORS]
        for axis, one in taken.items()
        if axis in PACK or one.can_be_packed
    }
    runs = [shared | {axis: values[k] for axis, values in packed.items()} for k in members]
    for run in runs:
        Settings.model_validate(run)
    network, objective, likelihood = (shared[k] for k in ("network", "objective", "likelihood"))
    families = [shared[k] for k in ("posterior", "prior") if k in shared]
    words = [
        objective,
        *families,
        likelihood,
        network,
        f"{side}x{side}",
        f"n={shared['latent_dim']}",
    ]
    words += [shared.get("precision", "float32"), f"seeds {','.join(map(str, members))}"]
    parts = ["core", f"network {network}", f"objective {objective}", f"likelihood {likelihood}"]
    return Case(
        name=" ".join(words + ["with sample quality"] * quality + [note] * bool(note)),
        parts=[*parts, *["quality"] * quality],
        runs=runs,
        shape=[side, side] if network == "mlp" else [side, side, 3],
        train=3 * shared["batch_size"],
        test=300 if network == "mlp" else 40,
        quality=quality,
    )

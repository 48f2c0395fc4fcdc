"""Trains the golden set with the sources that PYTHONPATH names, this checkout's or others.

`python worker.py train CASES OUT`             trains each case; what it gives is compared by bytes.
                                               Also tells the parts of the code.
`python worker.py probe CASES OUT WEIGHTS`     takes single steps from the weights that `train` left
                                               in the folder WEIGHTS, in float32 and in float64, and
                                               trains each case in float64

It drives both versions, so it takes from them only what `former_api` names. It runs as a program
of its own and imports no module of this checkout's package but that one.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from former_api import Api, load_api  # type: ignore[import-not-found]
from safetensors.torch import load_file, save_file
from torch import Tensor

import vaebench

CPU = torch.device("cpu")


def made_data(api: Api, case: dict[str, Any]) -> Any:
    """Images and labels from a seed."""
    random = np.random.Generator(np.random.PCG64(0))

    def images(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        shape = (count, *case["shape"])
        return random.integers(0, 256, shape, np.uint8) * (random.random(shape) < 0.3)

    def labels(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return (np.arange(count) % 10).astype(np.uint8)

    return api.arrays(
        images(case["train"]), labels(case["train"]), images(case["test"]), labels(case["test"])
    )


def train_case(api: Api, case: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train and evaluate a case; leaves its weights in `out`.

    Returns:
        The digests of each run's weights and arrays, and of each number of its record without
        times, by their names.
    """
    data = made_data(api, case)
    pack = api.pack.of([api.settings.model_validate(run) for run in case["runs"]], data, CPU)
    state = api.init_state(pack)
    api.train(pack, state, lambda: False, lambda _: None)
    weights = {name: tensor.detach().clone() for name, tensor in state.parameters.items()}
    save_file(weights, out / f"{_file(case)}.safetensors")
    runs = []
    for k, measured in enumerate(api.final_metrics(pack, state, data)):
        metrics = {"diverged": state.diverged[k]}
        metrics |= {f"final.{name}": v for name, v in _leaves(measured.final.model_dump())}
        metrics |= {f"history.{name}": v for name, v in _columns(state.history[k]).items()}
        runs.append(
            {
                "weights": _sha(b"".join(weights[n][k].numpy().tobytes() for n in sorted(weights))),
                "arrays": _sha(api.to_npz(measured.arrays)),
                **{name: _sha(json.dumps(value).encode()) for name, value in metrics.items()},
            }
        )
    result: dict[str, Any] = {"runs": runs}
    if case["quality"]:
        own = {name: tensor[0] for name, tensor in weights.items()}
        numbers, classifier, samples = _quality(api, data, pack.runs[0], own)
        save_file(classifier, out / f"{_file(case)}.classifier.safetensors")
        result["quality"] = {
            "numbers": _sha(json.dumps(numbers, sort_keys=True).encode()),
            "classifier": _sha(b"".join(classifier[n].numpy().tobytes() for n in classifier)),
            "samples": _sha(samples.numpy().tobytes()),
        }
    return result


def probe_case(api: Api, case: dict[str, Any], weights: Path) -> dict[str, Tensor]:
    """What a case gives in single steps and in float64, as float64 tensors by name.

    `step32/` and `step64/`: objective, gradients and change of the parameters in one step from the
    given weights; `evaluation32/` and `evaluation64/`: all numbers and arrays of a run there, and
    what is measured on samples; `training64/`: the change of the parameters and all numbers after
    training in float64.
    """
    start = load_file(weights / f"{_file(case)}.safetensors")
    found: dict[str, Tensor] = {}
    for bits in (32, 64):
        with _precision(bits):
            data = made_data(api, case)
            for name, value in _step(api, case, data, start).items():
                found[f"step{bits}/{name}"] = value
            for name, value in _evaluation(api, case, data, start, weights).items():
                found[f"evaluation{bits}/{name}"] = value
            if bits == 64:
                for name, value in _training(api, case, data).items():
                    found[f"training64/{name}"] = value
    return {name: value.double().contiguous() for name, value in found.items()}


def _step(api: Api, case: dict[str, Any], data: Any, start: dict[str, Tensor]) -> dict[str, Tensor]:
    values: list[Tensor] = []
    with _recorded(api, case["runs"][0]["objective"], values):
        pack, state = _begin(api, case, data, start)
        before = {name: tensor.detach().clone() for name, tensor in state.parameters.items()}
        api.train(pack, state, lambda: True, lambda _: None)
    found = {"objective": torch.cat(values[: len(pack.runs)])}
    for name, first in zip(state.parameters, state.moments.first, strict=True):
        # After one step from zero, Adam's first moment is a tenth of the gradient.
        found[f"gradient/{name}"] = first.clone()
        found[f"update/{name}"] = state.parameters[name].detach() - before[name]
    return found


def _evaluation(
    api: Api, case: dict[str, Any], data: Any, start: dict[str, Tensor], weights: Path
) -> dict[str, Tensor]:
    pack, state = _begin(api, case, data, start)
    state.step, state.diverged = 1, [None] * len(pack.runs)
    found = _numbers(api.final_metrics(pack, state, data))
    if case["quality"]:
        known = load_file(weights / f"{_file(case)}.classifier.safetensors")
        own = {name: tensor[0].detach() for name, tensor in state.parameters.items()}
        numbers, _, samples = _quality(api, data, pack.runs[0], own, known)
        found |= {f"quality/{name}": torch.tensor([value]) for name, value in numbers.items()}
        found["samples"] = samples
    return found


def _training(api: Api, case: dict[str, Any], data: Any) -> dict[str, Tensor]:
    pack, state = _begin(api, case, data, {})
    before = {name: tensor.detach().clone() for name, tensor in state.parameters.items()}
    api.train(pack, state, lambda: False, lambda _: None)
    found = {
        f"change/{name}": tensor.detach() - before[name]
        for name, tensor in state.parameters.items()
    }
    for k, points in enumerate(state.history):
        for name, values in _columns(points).items():
            found[f"history/{k}/{name}"] = torch.tensor([value or 0.0 for value in values])
    found |= _numbers(api.final_metrics(pack, state, data))
    if case["quality"]:
        own = {name: tensor[0].detach() for name, tensor in state.parameters.items()}
        numbers, _, samples = _quality(api, data, pack.runs[0], own)
        found |= {f"quality/{name}": torch.tensor([value]) for name, value in numbers.items()}
        found["samples"] = samples
    return found


def _begin(api: Api, case: dict[str, Any], data: Any, start: dict[str, Tensor]) -> tuple[Any, Any]:
    pack = api.pack.of([api.settings.model_validate(run) for run in case["runs"]], data, CPU)
    state = api.init_state(pack)
    with torch.no_grad():
        for name, tensor in start.items():
            state.parameters[name].copy_(tensor)
    return pack, state


def _numbers(measured: Any) -> dict[str, Tensor]:
    """Every number and array of a pack's runs."""
    found: dict[str, Tensor] = {}
    for k, one in enumerate(measured):
        for name, value in _flat(one.final.model_dump()):
            found[f"number/{k}/{name}"] = torch.tensor([value])
        for name, array in one.arrays.items():
            kind = "levels" if array.dtype == np.uint8 else "array"
            found[f"{kind}/{k}/{name}"] = torch.from_numpy(np.array(array, np.float64))
    return found


def _columns(points: Any) -> dict[str, list[float | None]]:
    """Each number of a history, as it is recorded, at all its points."""
    rows = [point.model_dump() for point in points]
    return {name: [row.get(name) for row in rows] for row in rows[:1] for name in row}


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in _leaves(values):
        if value is not None:
            yield name, float(value)


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dictionaries, each with its path."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _quality(
    api: Api,
    data: Any,
    run: Any,
    weights: dict[str, Tensor],
    known: dict[str, Tensor] | None = None,
) -> tuple[dict[str, float], dict[str, Tensor], Tensor]:
    """What is measured on a run's samples, by the `known` classifier or by one that is trained.

    Returns:
        The numbers, the weights of the classifier and the samples.
    """
    from vaebench.quality import classifier as module
    from vaebench.quality.measures import Reference, compare, components

    classifier = (
        module.train_classifier("golden set", data, CPU)
        if known is None
        else module.Classifier({n: t.to(torch.get_default_dtype()) for n, t in known.items()})
    )
    train, test = (module.to_images(x, CPU) for x in (data.train_images, data.test_images))
    prior_std = torch.ones(run.latent_dim)
    samples = api.sample_images(run, weights, prior_std, data.test_images.shape, CPU)
    reference = Reference.of(classifier, train, test)
    measured = {"": samples, "floor_": train[: len(test)]}
    numbers = {
        f"{prefix}{name}": float(value)
        for prefix, images in measured.items()
        for name, value in compare(reference, images).model_dump().items()
    }
    numbers["components_of_test"] = components(test)
    labels = torch.from_numpy(data.test_labels)
    numbers["accuracy"] = classifier.accuracy(test, labels)
    return numbers, dict(classifier.parameters), samples


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    """Have everything computed in numbers of so many bits, from the same images and noise."""
    if bits == 32:
        yield
        return
    import vaebench.quality.evaluate  # noqa: F401
    import vaebench.training.loop  # noqa: F401

    inputs = {"to_pixels", "to_images", "normal"}
    replaced = [
        (module, name, getattr(module, name))
        for place, module in sys.modules.items()
        for name in inputs
        if place.startswith("vaebench.") and hasattr(module, name)
    ]
    for module, name, original in replaced:
        setattr(module, name, _as_double(original))
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        for module, name, original in replaced:
            setattr(module, name, original)


def _as_double(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function's float32 results as float64."""

    def double(*arguments: Any) -> Tensor:
        torch.set_default_dtype(torch.float32)
        try:
            return function(*arguments).double()
        finally:
            torch.set_default_dtype(torch.float64)

    return double


@contextmanager
def _recorded(api: Api, name: str, values: list[Tensor]) -> Iterator[None]:
    """Append to `values` what the objective gives, for every batch that it is called with."""
    original = api.objectives[name]

    def bound(*arguments: Any, **parameters: Any) -> Tensor:
        value: Tensor = original.bound(*arguments, **parameters)
        values.append(value.detach().clone())
        return value

    api.objectives[name] = replace(original, bound=bound)
    try:
        yield
    finally:
        api.objectives[name] = original


def _file(case: dict[str, Any]) -> str:
    return _sha(case["name"].encode())[:16]


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Do what the command line says; prints a line for each case that is done."""
    torch.set_num_threads(1)
    sources = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).resolve()
    if sources not in Path(vaebench.__file__ or "").resolve().parents:
        # An incomplete folder is passed over in favour of the installed package.
        sys.exit(f"{sources} holds no package vaebench")
    api = load_api()
    cases, out = json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for case in cases:
        if sys.argv[1] == "train":
            try:
                results[case["name"]] = train_case(api, case, out)
            except (ValueError, RuntimeError) as error:
                # These sources do not know the objective, or the processor lacks the precision.
                results[case["name"]] = {"failed": str(error).strip().splitlines()[-1]}
        else:
            save_file(
                probe_case(api, case, Path(sys.argv[4])), out / f"{_file(case)}.probe.safetensors"
            )
        print(case["name"], flush=True)
    if sys.argv[1] == "train":
        text = json.dumps({"parts": api.parts(), "cases": results})
        (out / "results.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

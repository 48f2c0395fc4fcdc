"""Measures the samples of finished runs, which are drawn from their weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vaebench.data.prepared import Arrays, data_digest, load
from vaebench.errors import UserError
from vaebench.execution.device import describe_device
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.numerics.streams import generator
from vaebench.progress import log
from vaebench.quality.classifier import (
    WEIGHTS,
    load_classifier,
    save_classifier,
    to_images,
    train_classifier,
)
from vaebench.quality.colour import as_grey, compare_images, luminance
from vaebench.quality.measures import Reference, components
from vaebench.quality.metrics_import import import_metrics
from vaebench.quality.needs import check_arrays
from vaebench.quality.samples import sample_images
from vaebench.reading.arrays import read_arrays
from vaebench.reading.tensors import read_tensors
from vaebench.runs.measured import is_measured
from vaebench.runs.record import ClassifierRecord, EvaluationRecord, RunRecord, read_as, read_record
from vaebench.runs.sources import accepted_quality, quality_digest
from vaebench.runs.store import has_run, keep_evaluation, kept_evaluation, locked

AGAIN = (
    "samples are drawn from the weights, so train the run again (runs in the store are only copied)"
)


@dataclass(frozen=True)
class EvaluationTarget:
    """A finished run and the files of its evaluation."""

    folder: Path
    """The folder with its metrics.json."""
    weights: Path
    """The path of its weights."""
    evaluation: Path
    """The path of evaluation.json, which is written."""


def make_classifier(dataset: str, data: Path, record: Path, device: torch.device) -> None:
    """Train the classifier of a dataset, and write its record and its weights into one folder.

    Args:
        dataset: the name of the dataset.
        data: the folder with `prepared/`.
        record: the path of classifier.json.
        device: where to train.

    Raises:
        UserError: samples cannot be measured with these images, such as for too few of them.
    """
    import_metrics()
    arrays = load(data / "prepared", dataset)
    check_arrays("", dataset, arrays)
    train, test = (to_images(x, device) for x in (arrays.train_images, arrays.test_images))
    classifier = train_classifier(f"classifier {dataset}", _as_grey(arrays), device)
    reference = Reference.of(classifier, as_grey(train), as_grey(test))
    chosen = torch.randperm(len(train), generator=generator(0, "samples", "floor"))[: len(test)]
    labels = torch.from_numpy(arrays.test_labels).to(device)
    written = ClassifierRecord.model_validate(
        {
            "dataset": dataset,
            "test_accuracy": classifier.accuracy(as_grey(test), labels),
            "floor": compare_images(reference, test, train[chosen.to(device)]),
            "test_components": components(luminance(test)),
            "weights": save_classifier(classifier, record.parent),
            "sources": quality_digest(arrays.train_images.ndim == 4),
            "data": data_digest(data / "prepared", dataset),
            "device": device.type,
            "processor": describe_device(device),
        }
    )
    write_atomically(record, written.to_json().encode())


def provide_classifier(
    dataset: str, data: Path, record: Path, device: torch.device, store: Path
) -> None:
    """As `make_classifier`, but trained once for all who measure with it: the store keeps it.

    `latent.samples` finds it there too, and keeps what it trains in the same place.

    Args:
        dataset: the name of the dataset.
        data: the folder with `prepared/`.
        record: the path of classifier.json.
        device: where to train.
        store: the store of finished runs.

    Raises:
        UserError: as `make_classifier`.
    """
    sources = quality_digest(load(data / "prepared", dataset).train_images.ndim == 4)
    parts = [dataset, data_digest(data / "prepared", dataset), sources, device.type]
    key = digest_bytes(json.dumps(parts).encode())
    kept = store / "classifiers" / key / "classifier.json"
    with locked(store, [f"classifier-{key}"]):
        if not _is_whole(kept):
            make_classifier(dataset, data, kept, device)
        for name in (WEIGHTS, kept.name):
            write_atomically(record.with_name(name), kept.with_name(name).read_bytes())


def _is_whole(record: Path) -> bool:
    """Whether a classifier is there with the weights that its record names."""
    try:
        known = read_as(ClassifierRecord, record, "")
    except UserError:
        return False
    weights = record.with_name(WEIGHTS)
    return weights.exists() and digest_file(weights) == known.weights


def evaluate_runs(
    targets: Sequence[EvaluationTarget],
    classifier: Path,
    data: Path,
    device: torch.device,
    store: Path | None = None,
) -> None:
    """Measure the samples of each run. Runs that are already measured are skipped.

    Args:
        targets: runs of one dataset.
        classifier: the path of the record of its classifier.
        data: the folder with `prepared/`.
        device: where to sample.
        store: the store of finished runs, which also keeps their evaluations.

    Raises:
        UserError: the classifier was made by other code, or weights are missing or are not those
            that the record of the run names.
    """
    known = read_as(ClassifierRecord, classifier, "run the tier, which trains it")
    if known.sources not in accepted_quality():
        raise UserError(
            f"{classifier} was made by other code than this checkout's: remove "
            f"{classifier.parent} and run the tier again"
        )
    records = [read_record(target.folder / "metrics.json") for target in targets]
    if store is not None:
        for target, record in zip(targets, records, strict=True):
            kept = kept_evaluation(store, record.run_hash)
            if is_measured(kept, record, known):
                write_atomically(target.evaluation, kept.read_bytes())
    todo = [
        (target, record)
        for target, record in zip(targets, records, strict=True)
        if not is_measured(target.evaluation, record, known)
    ]
    for target, record in todo:
        _check_weights(target, record)
    if not todo:
        return
    import_metrics()
    arrays = load(data / "prepared", records[0].run.dataset)
    train, test = (to_images(x, device) for x in (arrays.train_images, arrays.test_images))
    # Parsed with care before it is used, as a file of another's tier.
    read_tensors(classifier.parent / WEIGHTS, "remove the folder and run the tier again",
                 known.weights, str(classifier))  # fmt: skip
    trained = load_classifier(classifier.parent, known.weights, device)
    reference = Reference.of(trained, as_grey(train), as_grey(test))
    for done, (target, record) in enumerate(todo):
        diverged = record.status == "diverged"
        drawn = None if diverged else _samples(target, record, arrays, device)
        samples = None if drawn is None else compare_images(reference, test, drawn)
        written = EvaluationRecord(
            run_hash=record.run_hash,
            weights=record.digests.weights,
            classifier=known.weights,
            sources=quality_digest(arrays.train_images.ndim == 4),
            samples=samples,
            floor=known.floor,
        )
        write_atomically(target.evaluation, written.to_json().encode())
        if store is not None and has_run(store, record.run_hash):
            keep_evaluation(store, record.run_hash, target.evaluation)
        log.info(f"[sample quality] {done + 1} of {len(todo)}: {target.folder}")


def _as_grey(arrays: Arrays) -> Arrays:
    """Images as the classifier takes them."""
    train, test = (
        as_grey(torch.from_numpy(images)).numpy()
        for images in (arrays.train_images, arrays.test_images)
    )
    return replace(arrays, train_images=train, test_images=test)


def _samples(
    target: EvaluationTarget, record: RunRecord, data: Arrays, device: torch.device
) -> Tensor:
    named = str(target.folder / "metrics.json")
    arrays = read_arrays(target.folder / "arrays.npz", AGAIN, record.digests.arrays, named)
    weights = read_tensors(target.weights, AGAIN, record.digests.weights, named)
    prior_std = torch.from_numpy(arrays.get("prior_cholesky", arrays["prior_std"]))
    return sample_images(record.run, weights, prior_std, data.test_images.shape, device)


def _check_weights(target: EvaluationTarget, record: RunRecord) -> None:
    if not target.weights.exists() or digest_file(target.weights) != record.digests.weights:
        raise UserError(
            f"{target.weights} is missing or not the file that {target.folder / 'metrics.json'} "
            f"names: {AGAIN}"
        )

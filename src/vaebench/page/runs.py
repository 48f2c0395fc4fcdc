"""The runs of a tier: what each is, what it was made from, and the command that trains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vaebench.experiment.grid import expand
from vaebench.experiment.settings import format_value
from vaebench.paths import Layout
from vaebench.provenance.trace import attested_text, run_facts
from vaebench.results.read import Results, varying
from vaebench.runs.record import read_record

_SHORT = 12


@dataclass(frozen=True)
class ShownRun:
    """A run of an experiment. A run that is in two experiments is shown in both."""

    key: str
    """Names it on this page: the experiment, and the beginning of the run's hash."""
    experiment: str
    settings: str
    """Its values on the axes of the experiment."""
    seed: int
    status: str
    run_hash: str
    attested: str
    commit: str
    device: str
    seconds: float
    """Of training, its share in the job."""
    command: str
    facts: dict[str, str]
    """What it was made from, as `vaebench explain` says it."""
    metrics_digest: str


def shown_runs(results: Results) -> list[ShownRun]:
    """All collected runs, in the order of the config."""
    rows = {(row["experiment"], row["folder"]): row for _, row in results.runs.iterrows()}
    found = []
    for experiment in results.tier.experiments:
        axes = varying(experiment)
        for cell in expand(experiment):
            command = _command(results, experiment.name, cell.folder.as_posix())
            for run in cell.runs:
                key = (experiment.name, run.folder.as_posix())
                if key in rows:
                    values = run.settings.model_dump()
                    found.append(_run(results, key, rows[key], _named(values, axes), command))
    return found


def _named(values: Mapping[str, Any], axes: list[str]) -> str:
    names = {"latent_dim": "n"}
    return ", ".join(
        values[axis]
        if isinstance(values[axis], str)
        else f"{names.get(axis, axis)} = {format_value(values[axis])}"
        for axis in axes
        if values.get(axis) is not None
    )


def _run(
    results: Results, key: tuple[str, str], row: pd.Series, settings: str, command: str
) -> ShownRun:
    record = read_record(results.layout.run(*key) / "metrics.json")
    level = row["attested"]
    # What was collected is current: a run of other sources than this checkout's is attested.
    basis = attested_text(level) if isinstance(level, str) else ""
    share = record.timing.seconds / record.worker.packed_runs
    return ShownRun(
        key=f"{key[0]}-{record.run_hash[:_SHORT]}",
        experiment=key[0],
        settings=settings,
        seed=record.run.seed,
        status=record.status,
        run_hash=record.run_hash,
        attested=level if isinstance(level, str) else "–",
        commit=(record.worker.commit or "unknown")[:_SHORT],
        device=f"{record.worker.processor} ({record.worker.device})",
        seconds=share,
        command=command,
        facts={"place": "/".join(key)} | run_facts(record, basis),
        metrics_digest=str(row["metrics_digest"]),
    )


def _command(results: Results, experiment: str, cell: str) -> str:
    """The same wherever the tier lies: its config is the one in the folder of its results."""
    config = Layout.of(results.tier.tier).config.as_posix()
    return f"vaebench run --tier {config} --experiment {experiment} --cell '{cell}'"

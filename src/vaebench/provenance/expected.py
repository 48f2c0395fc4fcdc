"""The files that a tier has when it is finished, by its config and the runs that are trained."""

from collections.abc import Iterator
from pathlib import Path

from vaebench.experiment.grid import Experiment, Run
from vaebench.experiment.tier import Tier
from vaebench.paths import CLAIM_FORMATS, FIGURE_FORMATS, TABLE_FORMATS, VECTOR, Layout
from vaebench.runs.finished import finished_runs
from vaebench.runs.measures import MEASURES

_HERE = Layout(Path())
"""The places of a tier's files, relative to its folder."""


def expected_files(tier: Tier, layout: Layout) -> set[str]:
    """The files that a manifest lists, as paths relative to the tier's folder.

    They are those of trained runs, and what the workflow makes of them: the collected tables, each
    figure, table and page, and the ledger.

    Args:
        tier: as its config says.
        layout: where its runs are.
    """
    trained = finished_runs(tier, layout)
    own = [_HERE.config, _HERE.runs, _HERE.history, _HERE.report]
    own += [_HERE.claims(extension) for extension in CLAIM_FORMATS]
    for name in tier.figures:
        own += [_HERE.figure(name, extension) for extension in FIGURE_FORMATS]
        own.append(_HERE.caption(name))
    for experiment in tier.experiments:
        own += [_HERE.table(experiment.name, extension) for extension in TABLE_FORMATS]
    if any(experiment.equations_plan is not None for experiment in tier.experiments):
        own.append(_HERE.equation_values)
        own += [_HERE.equation_table(extension) for extension in TABLE_FORMATS]
    for experiment, run in trained:
        own += _of_run(experiment, run)
    return {path.as_posix() for path in own}


def vector_graphics(tier: Tier) -> set[str]:
    """Those of a tier's `expected_files` that a thin copy lacks, all of them."""
    return {_HERE.figure(name, VECTOR).as_posix() for name in tier.figures}


def run_folders(tier: Tier) -> dict[str, Run]:
    """The runs that a tier plans, by their folders below runs/."""
    return {(Path(experiment.name) / run.folder).as_posix(): run for experiment, run in tier.runs}


def _of_run(experiment: Experiment, run: Run) -> Iterator[Path]:
    folder = _HERE.run(experiment.name, run.folder)
    yield from (folder / "metrics.json", folder / "arrays.npz")
    yield _HERE.run_codes(experiment.name, run.folder)
    for measure in experiment.plans:
        yield from (folder / name for name in MEASURES[measure].files)
    if experiment.sample_quality:
        classifier = _HERE.classifier(run.settings.dataset)
        yield from (classifier, classifier.with_name("classifier.safetensors"))
        yield _HERE.evaluation(experiment.name, run.folder)

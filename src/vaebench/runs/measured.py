"""Whether the sample quality of a run is measured, by this code and with a tier's classifier."""

from pathlib import Path

from vaebench.errors import UserError
from vaebench.runs.record import ClassifierRecord, EvaluationRecord, RunRecord, read_as
from vaebench.runs.sources import accepted_quality


def is_measured(evaluation: Path, record: RunRecord, classifier: ClassifierRecord) -> bool:
    """Whether an evaluation.json is there and is of this run, this classifier and this code."""
    if not evaluation.exists():
        return False
    try:
        found = read_as(EvaluationRecord, evaluation, "")
    except UserError:
        return False
    return found.sources in accepted_quality() and (
        found.run_hash,
        found.weights,
        found.classifier,
    ) == (record.run_hash, record.digests.weights, classifier.weights)

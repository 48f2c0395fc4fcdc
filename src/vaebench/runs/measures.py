"""The measures: what is measured on the weights of finished runs. It is kept in records."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from vaebench.errors import UserError
from vaebench.reading.thin import is_copy_of
from vaebench.runs.dependence_record import DependenceRecord
from vaebench.runs.equations_record import EquationsRecord
from vaebench.runs.evidence_record import EvidenceRecord
from vaebench.runs.latent_record import LatentRecord
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.record import RunRecord, read_as
from vaebench.runs.sources import (
    dependence_digest,
    equations_digest,
    evidence_digest,
    latent_digest,
)
from vaebench.runs.store import MEASURED

R = TypeVar("R", bound=MeasurementRecord, covariant=True)


@dataclass(frozen=True)
class Measure(Generic[R]):
    """A measure: its record, and the code that it depends on."""

    name: str
    """One of `PLANS`."""
    record: type[R]
    digest: Callable[[], str]
    """The digest of the code that measures, but for the networks of runs."""

    @property
    def files(self) -> tuple[str, str]:
        """The names of the files beside a run: the arrays and the record."""
        return MEASURED[self.name]

    def read(self, folder: Path, record: RunRecord, plan: BaseModel | None, remedy: str) -> R:
        """The record of what is measured on a run, after a check that it is what is wanted.

        Args:
            folder: where the files are.
            record: that of the run.
            plan: how the run is to be measured.
            remedy: what to do if it is not measured so. Errors end with it.

        Raises:
            UserError: the record is missing or damaged; or it is of another run, of other data,
                code or arrays, or by another plan.
        """
        arrays, path = (folder / name for name in self.files)
        found = read_as(self.record, path, remedy)
        agrees = {
            "run": found.run_hash == record.run_hash,
            "weights": found.weights == record.digests.weights,
            "data": found.data == record.digests.data,
            "sources": found.sources == self.digest(),
            "plan": found.plan == plan,
            "arrays": is_copy_of(arrays, found.arrays),
        }
        if others := [name for name, same in agrees.items() if not same]:
            raise UserError(f"{path}: refused, made with other {', '.join(others)}; {remedy}")
        return found

    def is_in(self, folder: Path, record: RunRecord, plan: BaseModel) -> bool:
        """Whether a folder has what is measured on a run, by this code and this plan."""
        try:
            self.read(folder, record, plan, "")
        except UserError:
            return False
        return True


EVIDENCE = Measure("evidence", EvidenceRecord, evidence_digest)
EQUATIONS = Measure("equations", EquationsRecord, equations_digest)
LATENT = Measure("latent", LatentRecord, latent_digest)
DEPENDENCE = Measure("dependence", DependenceRecord, dependence_digest)

MEASURES: dict[str, Measure[MeasurementRecord]] = {
    measure.name: measure for measure in (EVIDENCE, EQUATIONS, LATENT, DEPENDENCE)
}

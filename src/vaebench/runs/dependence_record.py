"""dependence.json: what of a finished run depends on the input."""

from pydantic import field_validator

from vaebench.experiment.dependence import DEPENDENCE_STATISTICS, DependencePlan
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.record import Record


class Dependence(Record):
    """The statistics of a run, in nats of scaled data. `DEPENDENCE_STATISTICS` explains them."""

    images: int
    """The number of test images, from the first."""
    log_volume: float
    """m log lambda, to be added to log p for the density of unscaled data."""
    statistics: dict[str, float | None]
    """Null stands for a value that is not finite. Those that are missing have no meaning here."""

    @field_validator("statistics")
    @classmethod
    def _names_are_known(cls, statistics: dict[str, float | None]) -> dict[str, float | None]:
        for name in statistics:
            if name not in DEPENDENCE_STATISTICS:
                raise ValueError(f"'{name}' is no statistic of dependence")
        return statistics


class DependenceRecord(MeasurementRecord):
    """dependence.json."""

    plan: DependencePlan
    dependence: Dependence | None
    """Null if the run diverged."""

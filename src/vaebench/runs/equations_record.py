"""equations.json: the paper's equations on a run, as `equations/measure.py` writes it."""

from pydantic import model_validator

from vaebench.experiment.equations import EQUATION_STATISTICS, EquationsPlan
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.record import Record


class Equations(Record):
    """The statistics of a run. `EQUATION_STATISTICS` explains them."""

    images: int
    """Test images."""
    refined_images: int
    active_units: int
    """Latent dimensions whose mean KL divergence on the training set exceeds 0.01 nats."""
    trained: dict[str, float | None]
    """Null stands for a value that is not finite. Those that are missing are not measured."""
    refined: dict[str, float | None]
    """Of the best q of each image in the encoder's family, on the frozen decoder."""
    initial: dict[str, float | None]
    """Of the weights before the first step. A statistic that they pass too proves nothing."""
    not_measured: dict[str, str]
    """Why statistics are missing, by the beginning of their names, such as `eq6`."""

    @model_validator(mode="after")
    def _names_are_known(self) -> "Equations":
        for state in (self.trained, self.refined, self.initial):
            for name in state:
                if name not in EQUATION_STATISTICS:
                    raise ValueError(f"'{name}' is no statistic of an equation")
        return self


class EquationsRecord(MeasurementRecord):
    """equations.json."""

    plan: EquationsPlan
    equations: Equations | None
    """Null if the run diverged, or if its network or likelihood is not one of those that the
    equations are measured on."""
    refused: str | None
    """Why `equations` is null."""

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> "EquationsRecord":
        if (self.equations is None) != (self.refused is not None):
            raise ValueError("equations has to be null exactly if refused is not")
        return self

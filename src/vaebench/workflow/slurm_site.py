"""What a site sets for `snakemake --profile slurm`: environment variables, read by the profile."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vaebench.errors import UserError

PREFIX = "VAEBENCH_SLURM_"
Word = Annotated[str, Field(pattern=r"^[^\s'\"]+$")]
Count = Annotated[int, Field(ge=1)]


class Site(BaseModel):
    """The variables `VAEBENCH_SLURM_<FIELD>`; all have a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: Word | None = None
    """The site's default partition if not given."""
    account: Word | None = None
    """Left out if not given."""
    gpu: Annotated[str, Field(pattern=r"^(\d+|gpu(:[\w.-]+)?(:\d+)?)$")] = "0"
    """GPUs of a job: a number for sbatch's --gpus, or what stands behind --gres, such as
    `gpu:a100:1`."""
    memory: Count = 8000
    """Of a job, in MB."""
    minutes: Count = 120
    """Wall time of a job's first attempt; the second gets twice as much, and so on."""
    max_minutes: Count = 1440
    """Of any attempt: the partition's limit."""
    runs: Count = 150
    """The most runs that one job trains."""
    extra: str | None = None
    """More options of sbatch, such as `--constraint=...`."""

    @property
    def gpus(self) -> int:
        """For sbatch's --gpus; 0 where --gres is used."""
        return int(self.gpu) if self.gpu.isdigit() else 0

    @property
    def gres(self) -> str | None:
        """For sbatch's --gres."""
        return None if self.gpu.isdigit() else self.gpu


def read_site(environment: Mapping[str, str]) -> Site:
    """The site that the environment describes; an empty variable counts as not given.

    Raises:
        UserError: a variable is unknown or has a value that cannot be; names all of these.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return Site.model_validate(given)
    except ValidationError as error:
        known = ", ".join(PREFIX + field.upper() for field in Site.model_fields)
        lines = [
            f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        ]
        raise UserError("\n".join([*lines, f"known are: {known}"])) from None

"""Attestations: records that two versions of a part of the code compute the same.

`vaebench attest` makes them by training a golden set with both versions, see
`attestation/`. A run that was trained with an equivalent version is current. Chains are followed:
what is attested against A counts for all that A is attested against.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from vaebench.errors import UserError
from vaebench.runs.record import Record, read_as

FOLDER = Path(__file__).parents[1] / "attestation" / "records"

Lines = tuple[str, ...]
"""A version of a part: the lines with which it enters the digest of a run's sources."""
Level = Literal["bits", "rounding"]
"""`bits`: every byte of the results is equal. `rounding`: they differ by no more than float32
rounding does."""
STRENGTH: Mapping[Level | None, int] = {None: 2, "bits": 1, "rounding": 0}


class AttestedPart(Record):
    """Two versions of a part that compute the same."""

    part: str
    """Such as `core`, `objective bilbo` or `quality`."""
    before: Lines
    after: Lines
    level: Level
    largest_difference: float
    """Of the numbers that were compared, relative to their size; 0 for `bits`."""


class Attestation(Record):
    """A record of `vaebench attest`."""

    schema_version: Literal[1] = 1
    against: str
    """The commit whose sources this checkout's were compared with."""
    golden_set: str
    """The digest of the golden set: what was trained, and by which program."""
    cases: int
    """How many cases of the golden set both versions could train here."""
    made: str
    """The date, YYYY-MM-DD."""
    machine: str
    libraries: dict[str, str]
    parts: list[AttestedPart]
    not_compared: list[str] = Field(default_factory=list)
    """The numbers of records that only the current version has, such as `history.train_elbo`. All
    others are in both versions and were compared."""


def read_attestation(path: Path) -> Attestation:
    """Read and check a record.

    Raises:
        UserError: it was changed after it was made; names the file.
    """
    return read_as(Attestation, path, "restore it from git; `vaebench attest` makes a new one")


def check_attestations() -> list[str]:
    """A line for each record that was changed after it was made."""
    problems = []
    for path in sorted(FOLDER.glob("*.json")):
        try:
            read_attestation(path)
        except UserError as error:
            problems.append(str(error))
    return problems


def equivalents(part: str, current: Lines) -> dict[Lines, Level | None]:
    """The versions of a part that count as the current one, and how well that is attested.

    Args:
        part: its name.
        current: its version in this checkout, which comes first in the result.

    Returns:
        Each version with the level of the strongest chain of attestations from it to the current
        one, which is the level of the chain's weakest link; None for the current one itself.

    Raises:
        UserError: a record was changed after it was made.
    """
    neighbours = _neighbours(FOLDER).get(part, {})
    found: dict[Lines, Level | None] = {current: None}
    # Links of bits first: whatever they reach is reached at the stronger level.
    for allowed in ({"bits"}, {"bits", "rounding"}):
        queue = list(found)
        while queue:
            version = queue.pop()
            for other, level in neighbours.get(tuple(sorted(version)), []):
                known = any(set(other) == set(one) for one in found)
                if level in allowed and not known:
                    found[other] = weakest([found[version], level])
                    queue.append(other)
    return found


def oldest(part: str, current: Lines) -> Lines:
    """The version of a part that all its equivalents have in common: the first that was recorded.

    It stays the same when another version is attested.
    """
    known = {tuple(sorted(version)) for version in equivalents(part, current)}
    for version in _neighbours(FOLDER).get(part, {}):
        if version in known:
            return version
    return tuple(sorted(current))


def weakest(levels: Iterable[Level | None]) -> Level | None:
    """The weakest of some levels; None, no attestation needed, is the strongest."""
    return min(levels, key=STRENGTH.__getitem__)


@cache
def _neighbours(folder: Path) -> dict[str, dict[Lines, list[tuple[Lines, Level]]]]:
    """For each part and version, the versions that it was compared with.

    The order of a version's lines does not distinguish it from another.
    """
    links: dict[str, dict[Lines, list[tuple[Lines, Level]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for path in sorted(folder.glob("*.json")):
        for one in read_attestation(path).parts:
            links[one.part][tuple(sorted(one.before))].append((one.after, one.level))
            links[one.part][tuple(sorted(one.after))].append((one.before, one.level))
    return links

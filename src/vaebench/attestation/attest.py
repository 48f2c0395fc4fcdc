"""Comparing this checkout's sources with those of another revision, and recording the result."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import load_file

from vaebench.attestation.compare import (
    Outcome,
    attested_level,
    compare_bytes,
    compare_numbers,
    part_levels,
)
from vaebench.attestation.golden import WORKER, Case, case_file, golden_digest, golden_set
from vaebench.errors import UserError
from vaebench.files import write_atomically
from vaebench.progress import count_progress, log
from vaebench.runs.attestations import (
    FOLDER,
    STRENGTH,
    Attestation,
    AttestedPart,
    Lines,
    read_attestation,
)
from vaebench.runs.canonical import PACKAGE

LIBRARIES = ("torch", "numpy", "pydantic", "safetensors", "torchmetrics")


@dataclass(frozen=True)
class Comparison:
    """How two versions of the sources compare."""

    cases: dict[str, Outcome]
    parts: dict[str, Outcome]
    before: dict[str, Lines]
    after: dict[str, Lines]

    @property
    def holds(self) -> bool:
        """Whether all parts compute the same."""
        return all(attested_level(outcome) is not None for outcome in self.parts.values())

    @property
    def added(self) -> list[str]:
        """The numbers that only the current version records, which were not compared."""
        return sorted({name for outcome in self.cases.values() for name in outcome.added})


def compare_sources(before: Path, after: Path, cases: Sequence[Case], work: Path) -> Comparison:
    """Train the golden set with two versions of the sources, and compare what comes out.

    Args:
        before: the folder that holds the former package `vaebench`, such as a worktree's `src`.
        after: the same of the current one.
        cases: the golden set.
        work: a folder for what is trained. What is found there, from the same `before`, is used.

    Raises:
        UserError: a version cannot be trained at all.
    """
    old, new = _Side(before, work / "before"), _Side(after, work / "after")
    with count_progress("golden set", 2 * len(cases)) as advance:
        _both(old, new, lambda side: side.train(cases, advance))
    former, current = old.results(), new.results()
    outcomes = {case.name: compare_bytes(former[case.name], current[case.name]) for case in cases}
    unequal = [
        case
        for case in cases
        if outcomes[case.name].verdict == "differs" and "failed" not in current[case.name]
    ]
    if unequal:
        log.info(f"{len(unequal)} of {len(cases)} cases differ in some byte: by rounding or more?")
        with count_progress("single steps", 2 * len(unequal)) as advance:
            _both(old, new, lambda side: side.probe(unequal, old.out, advance))
        for case in unequal:
            name = f"{case_file(case.name)}.probe.safetensors"
            found = compare_numbers(load_file(old.out / name), load_file(new.out / name))
            outcomes[case.name] = replace(found, added=outcomes[case.name].added)
    before_parts, after_parts = old.parts(), new.parts()
    levels = part_levels(outcomes, cases, before_parts, after_parts)
    return Comparison(outcomes, levels, before_parts, after_parts)


def attest(revision: str, folder: Path = FOLDER) -> tuple[Comparison, Path | None]:
    """Compare this checkout's sources with those of a revision and record what holds.

    Args:
        revision: a commit, branch or tag.
        folder: where the record goes.

    Returns:
        The comparison, and the path of the record; None if there was nothing to record.

    Raises:
        UserError: there is no such revision, or the package was installed without its repository.
    """
    cases = golden_set()
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    with _worktree(commit) as sources, TemporaryDirectory() as work:
        found = compare_sources(sources, PACKAGE.parent, cases, Path(work))
    parts = [
        AttestedPart(
            part=name,
            before=found.before[name],
            after=found.after[name],
            level=level,
            largest_difference=outcome.difference,
        )
        for name, outcome in found.parts.items()
        if (level := attested_level(outcome)) is not None
    ]
    if all(sorted(one.before) == sorted(one.after) for one in parts):
        return found, None
    record = Attestation(
        against=commit,
        golden_set=golden_digest(cases),
        cases=sum(one.verdict != "not compared" for one in found.cases.values()),
        made=datetime.now(UTC).date().isoformat(),
        machine=_machine(),
        libraries={"python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
        not_compared=found.added,
        parts=parts,
    )
    number = 1 + len(list(folder.glob("*.json")))
    path = folder / f"{number:04}-{commit[:12]}.json"
    write_atomically(path, record.to_json().encode())
    return found, path


def repeat(folder: Path = FOLDER) -> tuple[Attestation, Comparison | None]:
    """Make the comparison of the newest record once more.

    Returns:
        The record, and the comparison; None where its revision is not in the history here.

    Raises:
        UserError: there is no record, or a part that it attests is not at that level now.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise UserError(f"{folder} has no attestation to repeat")
    record = read_attestation(paths[-1])
    try:
        _git("cat-file", "-e", f"{record.against}^{{commit}}")
    except UserError:
        return record, None
    with _worktree(record.against) as sources, TemporaryDirectory() as work:
        found = compare_sources(sources, PACKAGE.parent, golden_set(), Path(work))
    for part in record.parts:
        outcome = found.parts.get(part.part, Outcome("differs", where="the part is gone"))
        level = attested_level(outcome)
        if level is None or STRENGTH[level] < STRENGTH[part.level]:
            raise UserError(
                f"{paths[-1]} attests {part.level} for {part.part}, and here it is "
                f"{outcome.verdict} ({outcome.where})"
            )
        if sorted(part.after) != sorted(found.after[part.part]):
            log.info(f"{part.part} was edited since the newest record; it still holds")
    return record, found


@dataclass(frozen=True)
class _Side:
    """One of the two versions."""

    sources: Path
    out: Path

    def results(self) -> dict[str, Any]:
        """What training gave for each case, by name."""
        found: dict[str, Any] = self._read()["cases"]
        return found

    def parts(self) -> dict[str, Lines]:
        """The parts of its code, by name."""
        return {name: tuple(lines) for name, lines in self._read()["parts"].items()}

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "results.json").read_text("utf-8"))
        return found

    def train(self, cases: Sequence[Case], advance: Callable[[int], None]) -> None:
        """Train the cases, unless that was done."""
        if (self.out / "results.json").exists():
            advance(len(cases))
            return
        for _ in self._lines("train", str(self._list("cases", cases)), str(self.out)):
            advance(1)

    def probe(self, cases: Sequence[Case], weights: Path, advance: Callable[[int], None]) -> None:
        """Take single steps in each case from the weights that the other version trained."""
        todo = [
            case
            for case in cases
            if not (self.out / f"{case_file(case.name)}.probe.safetensors").exists()
        ]
        advance(len(cases) - len(todo))
        listed = self._list("probes", todo)
        for _ in self._lines("probe", str(listed), str(self.out), str(weights)):
            advance(1)

    def _list(self, name: str, cases: Sequence[Case]) -> Path:
        path = self.out / f"{name}.json"
        write_atomically(path, json.dumps([asdict(case) for case in cases]).encode())
        return path

    def _lines(self, *arguments: str) -> Iterator[str]:
        """The lines that the worker prints; its log goes to a file."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "worker.log"
        # Its own folder for the one module that it takes from there; the sources come first.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(self.sources), str(WORKER.parent)]),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-P", str(WORKER), *arguments]
        with (
            path.open("w", encoding="utf-8") as file,
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=file, encoding="utf-8"
            ) as process,
        ):
            yield from process.stdout or ()
        if process.returncode != 0:
            end = "\n".join(path.read_text("utf-8").splitlines()[-5:])
            raise UserError(f"the sources in {self.sources} cannot be trained:\n{end}")


def _both(old: _Side, new: _Side, work: Callable[[_Side], None]) -> None:
    """Have both versions work at the same time."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, side) for side in (old, new)]:
            done.result()


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """The sources of a commit, for as long as the block runs."""
    with TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree / "src"
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except OSError:
        raise UserError("git is not installed: an attestation compares with a commit") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"`git {' '.join(arguments)}`: {error.stderr.strip()}") from None
    return done.stdout.strip()


def _machine() -> str:
    import torch

    from vaebench.execution.device import describe_device

    capability = torch.backends.cpu.get_cpu_capability()
    return f"{describe_device(torch.device('cpu'))}, {capability}"

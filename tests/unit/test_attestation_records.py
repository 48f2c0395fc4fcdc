"""Records of attestations: what they say of runs, and modules that were moved."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.networks import NETWORKS
from vaebench.runs import attestations, canonical, sources
from vaebench.runs.attestations import Attestation, AttestedPart, Level, Lines, equivalents, oldest
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.run_hash import accepted_hashes, run_hash

MakeSettings = Callable[..., Settings]


class Records:
    """A folder of records in place of the package's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, part: str, before: Lines, after: Lines, level: Level) -> Path:
        one = AttestedPart(
            part=part, before=before, after=after, level=level, largest_difference=0.0
        )
        record = Attestation(
            against="0" * 40,
            golden_set="1" * 64,
            cases=1,
            made="2026-01-01",
            machine="any",
            libraries={},
            parts=[one],
        )
        path = self.folder / f"{len(list(self.folder.glob('*'))) + 1:04}.json"
        path.write_text(record.to_json())
        self.forget()
        return path

    @staticmethod
    def forget() -> None:
        for cached in (attestations._neighbours, sources._accepted, sources._lasting):
            cached.cache_clear()


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "records"
    folder.mkdir()
    monkeypatch.setattr("vaebench.runs.attestations.FOLDER", folder)
    Records.forget()
    yield Records(folder)
    Records.forget()


def test_chains_are_followed_to_their_weakest_link(records: Records) -> None:
    records.add("core", ("m 1", "n 1"), ("m 2", "n 1"), "bits")
    records.add("core", ("n 1", "m 2"), ("m 3", "n 1"), "rounding")  # in whatever order of lines
    records.add("core", ("m 3", "n 1"), ("m 4", "n 1"), "bits")
    records.add("network mlp", ("m 4", "n 1"), ("m 9", "n 1"), "bits")  # of another part
    found = equivalents("core", ("m 4", "n 1"))
    levels = {tuple(sorted(version)): level for version, level in found.items()}
    assert levels == {
        ("m 4", "n 1"): None,
        ("m 3", "n 1"): "bits",
        ("m 2", "n 1"): "rounding",
        ("m 1", "n 1"): "rounding",
    }
    # Both ways: a checkout of a former version knows nothing of it, but a branch may.
    assert len(equivalents("core", ("m 1", "n 1"))) == 4
    assert equivalents("core", ("m 5", "n 1")) == {("m 5", "n 1"): None}


def test_the_stronger_of_two_chains_counts(records: Records) -> None:
    records.add("core", ("m 1",), ("m 3",), "rounding")
    records.add("core", ("m 1",), ("m 2",), "bits")
    records.add("core", ("m 2",), ("m 3",), "bits")
    assert equivalents("core", ("m 3",))[("m 1",)] == "bits"


@given(st.permutations(range(4)))
def test_what_lasts_is_the_same_for_all_versions(order: list[int]) -> None:
    names: list[Lines] = [(f"m {k}",) for k in range(5)]
    links = {
        "core": {
            names[k]: [(names[k + 1], "bits")] + ([(names[k - 1], "bits")] if k else [])
            for k in sorted(order)
        }
        | {names[4]: [(names[3], "bits")]}
    }
    original = attestations._neighbours
    attestations._neighbours = lambda _: links  # type: ignore[assignment]
    try:
        assert {oldest("core", names[k]) for k in order} == {("m 0",)}
    finally:
        attestations._neighbours = original


def test_a_run_of_attested_sources_is_current(records: Records, settings: MakeSettings) -> None:
    run = settings()
    assert accepted_hashes(run) == [run_hash(run)]
    lasting = sources.lasting_source_digest(run)
    now = sources.objective_part("learned")
    records.add("objective learned", ("objective former",), now, "rounding")
    own, former = accepted_hashes(run)
    assert own == run_hash(run) != former
    assert [basis.level for basis in sources.accepted_sources(run).values()] == [None, "rounding"]
    # Another objective's runs have nothing to do with it.
    assert len(accepted_hashes(settings(objective="bilbo"))) == 1
    # What snakemake compares changes once, to what the former version had, and then stays.
    changed = sources.lasting_source_digest(run)
    assert changed != lasting
    records.add("objective learned", now, ("objective next",), "bits")
    assert sources.lasting_source_digest(run) == changed


def test_a_tampered_record_is_named(records: Records, settings: MakeSettings) -> None:
    path = records.add("core", ("m 1",), sources.core(), "rounding")
    assert attestations.check_attestations() == []
    text = path.read_text()
    path.write_text(text.replace('"rounding"', '"bits"'))
    Records.forget()
    (problem,) = attestations.check_attestations()
    assert str(path) in problem
    assert "changed by hand" in problem
    with pytest.raises(UserError, match="restore it from git"):
        accepted_hashes(settings())
    path.write_text(text)


def test_the_records_of_this_checkout_are_whole() -> None:
    assert attestations.check_attestations() == []
    for path in attestations.FOLDER.glob("*.json"):
        assert json.loads(path.read_text())["parts"]


def test_a_module_that_was_moved_keeps_its_former_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own digest, its label, and the imports of all that use it."""
    package = tmp_path / "vaebench"
    shutil.copytree(PACKAGE, package)
    for module in (canonical, sources):
        monkeypatch.setattr(module, "PACKAGE", package)

    def digests() -> dict[str, Lines]:
        canonical._module_digest.cache_clear()
        canonical._definition_digest.cache_clear()
        found = {f"network {name}": sources.network_part(name) for name in NETWORKS}
        return found | {"core": sources.core(), "quality": (sources.quality_digest(),)}

    before = digests()
    (package / "numerics/adam.py").rename(package / "numerics/optimiser.py")
    (package / "numerics/kernels.py").rename(package / "numerics/layers.py")
    for path in package.rglob("*.py"):
        text = path.read_text()
        moved = text.replace("vaebench.numerics.adam", "vaebench.numerics.optimiser")
        path.write_text(moved.replace("vaebench.numerics.kernels", "vaebench.numerics.layers"))
    quality = tuple(name.replace("adam", "optimiser") for name in sources.QUALITY)
    monkeypatch.setattr(sources, "QUALITY", quality)
    assert all(before[part] != lines for part, lines in digests().items())
    known = canonical.FORMER_NAMES
    names = known | {
        "numerics/optimiser": known.get("numerics/adam", "numerics/adam"),
        "numerics/layers": known.get("numerics/kernels", "numerics/kernels"),
    }
    monkeypatch.setattr(canonical, "FORMER_NAMES", names)
    assert digests() == before
    canonical._module_digest.cache_clear()
    canonical._definition_digest.cache_clear()

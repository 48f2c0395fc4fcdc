"""Two versions of the code: which edits compute the same, and what follows from a record of it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaebench.attestation import attest as attestation
from vaebench.attestation.attest import Comparison, compare_sources
from vaebench.attestation.compare import Outcome, compare_bytes, compare_numbers, part_levels
from vaebench.attestation.golden import Case, golden_set
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.runs import attestations, canonical, sources
from vaebench.runs.attestations import Attestation, AttestedPart, Level, Lines, equivalents, oldest
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.run_hash import accepted_hashes, run_hash

MakeSettings = Callable[..., Settings]

TINY: dict[str, Any] = {
    "dataset": "mnist",
    "network": "mlp",
    "hidden_units": 20,
    "hidden_layers": 2,
    "latent_dim": 2,
    "batch_size": 50,
    "learning_rate": 0.001,
    "epochs": 3,
}


def tiny_case(objective: str, likelihood: str = "bernoulli", **settings: Any) -> Case:
    shared = TINY | {"objective": objective, "likelihood": likelihood} | settings
    return Case(
        name=f"{objective} {likelihood}",
        parts=["core", "network mlp", f"objective {objective}", f"likelihood {likelihood}"],
        runs=[shared | {"seed": seed} for seed in (0, 1)],
        shape=[28, 28],
        train=150,
        test=50,
    )


CASES = [tiny_case("learned"), tiny_case("bilbo", "baggins", tau=0.2)]


class Versions:
    """Copies of the package with an edit, compared with the package as it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def compare(self, *edits: tuple[str, str, str]) -> Comparison:
        """The comparison with the package in which each edit replaces a text in a file."""
        self._count += 1
        source = self._folder / f"sources{self._count}"
        shutil.copytree(PACKAGE, source / "vaebench", ignore=shutil.ignore_patterns("*.pyc"))
        for file, old, new in edits:
            path = source / "vaebench" / file
            text = path.read_text()
            assert text.count(old) == 1, (file, old)
            path.write_text(text.replace(old, new))
        work = self._folder / f"work{self._count}"
        work.mkdir()
        # What the package itself gives is trained once.
        (self._folder / "before").mkdir(exist_ok=True)
        (work / "before").symlink_to(self._folder / "before")
        return compare_sources(PACKAGE.parent, source, CASES, work)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tmp_path_factory.mktemp("versions"))


KL = "kl = 0.5 * (variance + posterior.mean.square() - 1 - 2 * posterior.std.log()).sum(-1)"


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(("numerics/adam.py", "0.999, 1e-8", "0.999, 1e-7"), id="Adam's epsilon"),
        pytest.param(("objectives.py", KL, KL.replace("0.5", "-0.5")), id="a sign"),
        pytest.param(("objectives.py", KL, KL.replace("0.5", "0.5000005")), id="a factor 1 + 1e-6"),
        pytest.param(
            (
                "numerics/kernels.py",
                'return product(gradient, weight, None, "none")',
                'return product(gradient, weight, None, "none") * 1.000001',
            ),
            id="a factor 1 + 1e-6 where float32 has code of its own",
        ),
        pytest.param(
            ("training/loop.py", "rows[:, wanted]", "rows.roll(1, 1)[:, wanted]"),
            id="off by one in the order of the data",
        ),
        pytest.param(
            ("training/loop.py", "noise[:, wanted]", "noise.roll(1, 0)[:, wanted]"),
            id="another run's noise",
        ),
        pytest.param(
            ("evaluation/elbo.py", 'if objective.prior == "standard":', "if True:"),
            id="a wrong prior in evaluation",
        ),
    ],
)
def test_a_meaningful_edit_differs(versions: Versions, edit: tuple[str, str, str]) -> None:
    found = versions.compare(edit)
    assert not found.holds
    changed = {part for part in found.after if found.after[part] != found.before[part]}
    assert changed
    assert {part for part, one in found.parts.items() if one.verdict == "differs"} == changed


def test_the_same_arithmetic_in_another_order_is_equal_to_the_bit(versions: Versions) -> None:
    found = versions.compare(
        ("objectives.py", KL, KL.replace("0.5 * (", "(").replace(").sum(-1)", ").mul(0.5).sum(-1)"))
    )
    assert found.before["objective learned"] != found.after["objective learned"]
    assert found.parts["objective learned"] == Outcome("bits")
    assert found.holds


def test_an_equal_formula_differs_by_rounding_alone(versions: Versions) -> None:
    found = versions.compare(
        ("objectives.py", KL, KL.replace("2 * posterior.std.log()", "variance.log()")),
        (
            "evaluation/elbo.py",
            "kl = 0.5 * (ratio - 1 - ratio.log()",
            "kl = 0.5 * (ratio - ratio.log() - 1",
        ),
    )
    assert found.parts["objective learned"].verdict == "rounding"
    assert 0 < found.parts["objective learned"].difference < 1e-3
    assert found.holds


def test_the_measures_of_samples_are_a_part_of_their_own(tmp_path: Path) -> None:
    case = tiny_case("learned")
    measured = Case(**{**vars(case), "quality": True, "parts": [*case.parts, "quality"]})
    folders = []
    for name, ink in (("one", "0.5"), ("other", "0.7")):
        source = tmp_path / name
        shutil.copytree(PACKAGE, source / "vaebench")
        quick = source / "vaebench/quality/classifier.py"
        quick.write_text(quick.read_text().replace("LEAST_STEPS = 3, 1500", "LEAST_STEPS = 3, 3"))
        measures = source / "vaebench/quality/measures.py"
        measures.write_text(measures.read_text().replace("INK = 0.5", f"INK = {ink}"))
        folders.append(source)
    found = compare_sources(folders[0], folders[1], [measured], tmp_path / "work")
    assert {part for part, one in found.parts.items() if one.verdict == "differs"} == {"quality"}


@pytest.mark.parametrize(
    ("file", "reason"),
    [("data.py", "holds no package vaebench"), ("__init__.py", "No module named 'vaebench")],
)
def test_sources_that_cannot_be_trained_are_named(tmp_path: Path, file: str, reason: str) -> None:
    (tmp_path / "broken" / "vaebench").mkdir(parents=True)
    (tmp_path / "broken" / "vaebench" / file).touch()
    with pytest.raises(UserError, match=f"(?s)broken cannot be trained.*{reason}"):
        compare_sources(tmp_path / "broken", tmp_path / "broken", CASES, tmp_path / "work")


def test_a_case_that_only_the_former_sources_lack_is_left_out() -> None:
    digests = {"runs": [{"weights": "a", "arrays": "b", "metrics": "c"}]}
    failed = {"failed": "no such objective"}
    assert compare_bytes(failed, digests).verdict == "not compared"
    assert compare_bytes(digests, failed).verdict == "differs"
    assert compare_bytes(digests, digests).verdict == "bits"


def test_the_golden_set_has_every_combination() -> None:
    cases = golden_set()
    wanted = {
        (objective, likelihood, network, precision)
        for objective, one in OBJECTIVES.items()
        for likelihood, other in LIKELIHOODS.items()
        for network in NETWORKS
        for precision in ("float32", "bfloat16")
        if other.posterior == "any" or one.posterior == other.posterior
    }
    had = {
        (run["objective"], run["likelihood"], run["network"], run.get("precision", "float32"))
        for case in cases
        for run in case.runs
    }
    assert had == wanted
    assert {run["latent_dim"] for case in cases for run in case.runs} >= {2, 100}
    assert {len(case.runs) for case in cases} == {1, 2, 3}
    assert len({case.name for case in cases}) == len(cases)


def probe(error: float, factor: float = 1.0) -> dict[str, torch.Tensor]:
    """What a version gives whose float32 gradient has random errors of a size, and a factor."""
    random = torch.Generator().manual_seed(0)
    exact = torch.randn(1000, generator=random, dtype=torch.float64)
    wrong = exact * (1 + error * torch.randn(1000, generator=random, dtype=torch.float64))
    return {"step64/gradient/w": exact, "step32/gradient/w": wrong * factor}


def test_float32_may_be_as_far_from_float64_as_before() -> None:
    assert compare_numbers(probe(3e-7), probe(5e-7)).verdict == "rounding"
    assert compare_numbers(probe(3e-7), probe(3e-6)).verdict == "differs"
    assert compare_numbers(probe(1e-7), probe(1e-7, factor=1 + 1e-6)).verdict == "differs"


def test_a_core_that_holds_is_not_blamed_for_an_objective() -> None:
    cases = [tiny_case("learned"), tiny_case("bilbo")]
    before: dict[str, Lines] = {
        "core": ("a 1",),
        "objective learned": ("objective 1",),
        "objective bilbo": ("objective 2",),
        "network mlp": ("network 1",),
    }
    after = before | {"core": ("b 1",), "objective learned": ("objective 3",)}
    outcomes = {
        "learned bernoulli": Outcome("differs", 1.0),
        "bilbo bernoulli": Outcome("rounding", 1e-7),
    }
    levels = part_levels(outcomes, cases, before, after)
    assert levels["objective learned"].verdict == "differs"
    assert levels["core"] == Outcome("rounding", 1e-7)
    assert levels["network mlp"] == levels["objective bilbo"] == Outcome("bits")
    # With all cases under suspicion, nothing speaks for the core.
    assert part_levels(outcomes, cases[:1], before, after)["core"].verdict == "differs"


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
        canonical.module_digest.cache_clear()
        canonical.definition_digest.cache_clear()
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
    canonical.module_digest.cache_clear()
    canonical.definition_digest.cache_clear()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of the package alone, with one commit."""
    root = tmp_path / "repository"
    shutil.copytree(PACKAGE, root / "src/vaebench")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    monkeypatch.setattr(attestation, "PACKAGE", root / "src/vaebench")
    monkeypatch.setattr(attestation, "golden_set", lambda: CASES[:1])
    return root


def test_attesting_writes_a_record_that_can_be_repeated(repository: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    path = repository / "src/vaebench/objectives.py"
    former = path.read_text()
    path.write_text(former.replace(KL, KL.replace("2 * posterior.std.log()", "variance.log()")))
    found, written = attestation.attest("HEAD", records)
    assert found.holds
    assert written is not None
    record = attestations.read_attestation(written)
    (changed,) = [part for part in record.parts if part.before != part.after]
    assert (changed.part, changed.level) == ("objective learned", "rounding")
    assert 0 < changed.largest_difference < 1e-3
    # It no longer holds: another edit has come since.
    path.write_text(former.replace(KL, KL.replace("0.5", "0.6")))
    with pytest.raises(UserError, match="attests rounding for objective learned, and here it is"):
        attestation.repeat(records)
    done = subprocess.run(
        ["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) == 1  # none is left behind


@pytest.mark.usefixtures("repository")
def test_a_revision_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        attestation.attest("nowhere", tmp_path)
    with pytest.raises(UserError, match="no record to repeat"):
        attestation.repeat(tmp_path)

"""Two versions of the code: which edits compute the same."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vaebench.attestation import attest as attestation
from vaebench.attestation.attest import Comparison, compare_sources
from vaebench.attestation.compare import Outcome, compare_bytes, compare_numbers, part_levels
from vaebench.attestation.golden import PAPER, Case, golden_set
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.runs import attestations
from vaebench.runs.attestations import Lines
from vaebench.runs.canonical import PACKAGE

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


KL = "kl = 0.5 * (std.square() + mean.square() - 1 - 2 * std.log()).sum(-1)"
PAPERS = "objectives/paper.py"


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(("numerics/adam.py", "0.999, 1e-8", "0.999, 1e-7"), id="Adam's epsilon"),
        pytest.param((PAPERS, KL, KL.replace("0.5", "-0.5")), id="a sign"),
        pytest.param((PAPERS, KL, KL.replace("0.5", "0.5000005")), id="a factor 1 + 1e-6"),
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
            ("training/loop.py", "noise[:, drawn]", "noise.roll(1, 0)[:, drawn]"),
            id="another run's noise",
        ),
        pytest.param(
            ("evaluation/elbo.py", 'if name == "standard":', "if True:"),
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
        (PAPERS, KL, KL.replace("0.5 * (", "(").replace(").sum(-1)", ").mul(0.5).sum(-1)"))
    )
    assert found.before["objective learned"] != found.after["objective learned"]
    assert found.parts["objective learned"] == Outcome("bits")
    assert found.holds


def test_an_equal_formula_differs_by_rounding_alone(versions: Versions) -> None:
    found = versions.compare(
        (PAPERS, KL, KL.replace("2 * std.log()", "std.square().log()")),
        (
            "core/prior.py",
            "return 0.5 * (ratio - 1 - ratio.log()",
            "return 0.5 * (ratio - ratio.log() - 1",
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


def test_numbers_that_only_the_current_version_records_are_named_and_not_compared() -> None:
    former = {"runs": [{"weights": "a", "history.elbo": "b"}] * 2}
    current = {"runs": [{**run, "history.train_elbo": "c"} for run in former["runs"]]}
    assert compare_bytes(former, current) == Outcome("bits", added=("history.train_elbo",))
    # What is no longer recorded is a difference, and so is any other number that has changed.
    found = compare_bytes(current, former)
    assert found.verdict == "differs"
    assert found.where == "history.train_elbo of run 0, which is no longer recorded"
    changed = {"runs": [current["runs"][0], {**current["runs"][1], "history.elbo": "d"}]}
    assert compare_bytes(former, changed).where == "history.elbo of run 1"
    # The same of what is compared in float64, where nothing but numbers of records may be new.
    number = {"training64/history/0/elbo": torch.ones(3, dtype=torch.float64)}
    more = number | {"training64/history/0/train_elbo": torch.ones(3, dtype=torch.float64)}
    assert compare_numbers(number, more).verdict == "rounding"
    assert compare_numbers(more, number).where == "training64/history/0/train_elbo: not in both"
    gradient = number | {"step64/gradient/w": torch.ones(3, dtype=torch.float64)}
    assert compare_numbers(number, gradient).where == "step64/gradient/w: not in both"


def test_a_level_names_what_was_not_compared_in_any_of_its_cases() -> None:
    cases = [tiny_case("learned"), tiny_case("bilbo")]
    before: dict[str, Lines] = {"core": ("a 1",)}
    outcomes = {
        "learned bernoulli": Outcome("bits", added=("history.b", "history.a")),
        "bilbo bernoulli": Outcome("rounding", 1e-7, added=("final.c",)),
    }
    levels = part_levels(outcomes, cases, before, {"core": ("b 1",)})
    assert levels["core"] == Outcome("rounding", 1e-7, added=("final.c", "history.a", "history.b"))


def test_the_golden_set_has_every_combination() -> None:
    cases = golden_set()
    wanted = {
        (objective, likelihood, network, precision)
        for objective in PAPER
        for likelihood, other in LIKELIHOODS.items()
        for network in NETWORKS
        for precision in ("float32", "bfloat16")
        if other.posterior == "any" or objective != "learned"
    }
    had = {
        (run["objective"], run["likelihood"], run["network"], run.get("precision", "float32"))
        for case in cases
        for run in case.runs
    }
    assert {one for one in had if one[0] in PAPER} == wanted
    # Every other objective is there with each of its posteriors and priors.
    others = [
        (run["objective"], run.get("posterior"), run.get("prior"))
        for case in cases
        for run in case.runs[:1]
        if run["objective"] not in PAPER
    ]
    pairs = sum(
        len(one.posterior) * len(one.prior) for o, one in OBJECTIVES.items() if o not in PAPER
    )
    assert len(set(others)) == len(others) == pairs
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
    path = repository / "src/vaebench/objectives/paper.py"
    former = path.read_text()
    path.write_text(former.replace(KL, KL.replace("2 * std.log()", "std.square().log()")))
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
    with pytest.raises(UserError, match="no attestation to repeat"):
        attestation.repeat(tmp_path)

"""What is measured on the weights of finished runs: once, beside them and in the store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from tests.linear_runs import CPU
from vaebench.errors import UserError
from vaebench.execution.measuring import Outcome, Work, levels, measure_runs, open_run
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.grid import Experiment
from vaebench.experiment.plans import PLANS
from vaebench.experiment.settings import Settings
from vaebench.runs import store as stores
from vaebench.runs.measurement import MeasurementRecord, RunFiles
from vaebench.runs.measures import MEASURES, Measure
from vaebench.runs.record import read_as, read_record
from vaebench.runs.store import run_folder

SETTINGS = {
    **{"dataset": "digits", "likelihood": "bernoulli", "objective": "learned", "latent_dim": 2},
    **{"network": "mlp", "hidden_units": 8, "hidden_layers": 1, "batch_size": 300},
    **{"learning_rate": 0.001, "epochs": 1, "seed": 0},
}
FILES = ("weighed.npz", "weighed.json")


class Plan(BaseModel):
    model_config = ConfigDict(frozen=True)

    factor: int = 1


class WeighedRecord(MeasurementRecord):
    plan: Plan
    size: float | None


class Scales:
    """Measures the size of all weights, and notes which folders for parts it was given."""

    def __init__(self) -> None:
        self.given = list[Path]()

    def __call__(self, work: Work[Plan]) -> Outcome:
        self.given.append(work.unfinished)
        work.unfinished.mkdir(parents=True, exist_ok=True)
        (work.unfinished / "part.npz").write_bytes(b"x")
        weights, _ = open_run(work.run, work.record)
        sizes = {name: np.array(float(w.abs().sum())) for name, w in weights.items()}
        size = work.plan.factor * sum(float(one) for one in sizes.values())
        return Outcome({"size": size}, sizes, work.device, f"weighs {size:.1f}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    root = tmp_path_factory.mktemp("trained")
    target = Target(Settings.model_validate(SETTINGS), root / "run", root / "run/model.safetensors")
    assert train_targets("x", [target], Resources(CPU, data_root, root / "store", 10))
    return root


@pytest.fixture
def root(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(stores.MEASURED, "weighed", FILES)
    shutil.copytree(trained, tmp_path / "root")
    return tmp_path / "root"


def weighing(sources: str = "code") -> Measure[WeighedRecord]:
    return Measure("weighed", WeighedRecord, lambda: sources)


def weigh(
    root: Path, scales: Scales, factor: int = 1, sources: str = "code", keep: bool = True
) -> WeighedRecord:
    run = RunFiles(root / "run", root / "run" / "model.safetensors")
    plan, store = Plan(factor=factor), root / "store"
    measure_runs(weighing(sources), scales, [run], plan, root / "data", CPU, store, keep)
    return read_as(WeighedRecord, root / "run" / "weighed.json", "")


def test_a_run_is_measured_once(root: Path) -> None:
    scales = Scales()
    first = weigh(root, scales)
    assert first.size is not None
    assert first.size > 0
    assert weigh(root, scales) == first
    assert len(scales.given) == 1
    assert not scales.given[0].exists(), "finished work leaves no parts"
    # Another plan and other code measure again, in place of the first.
    other = Scales()
    assert weigh(root, other, 2).size == pytest.approx(2 * first.size)
    assert weigh(root, other, 2, "edited").sources == "edited"
    assert len({scales.given[0], *other.given}) == 3, "parts of each have a folder of their own"


def test_the_store_has_what_was_measured_when_weights_are_gone(root: Path) -> None:
    first = weigh(root, Scales())
    before = {name: (root / "run" / name).read_bytes() for name in FILES}
    for name in ("model.safetensors", *FILES):
        (root / "run" / name).unlink()
    idle = Scales()
    assert weigh(root, idle) == first
    assert idle.given == []
    assert {name: (root / "run" / name).read_bytes() for name in FILES} == before
    with pytest.raises(UserError, match=r"model\.safetensors is (missing|not the file that)"):
        weigh(root, Scales(), 2)


def test_the_store_keeps_only_what_it_is_asked_to(root: Path) -> None:
    record = read_record(root / "run" / "metrics.json")
    weigh(root, Scales(), keep=False)
    kept = run_folder(root / "store", record.run_hash)
    assert not (kept / "weighed.json").exists()
    assert weighing().is_in(root / "run", record, Plan())
    assert not weighing().is_in(kept, record, Plan())


def test_parts_of_stopped_work_stay_for_the_next_attempt(root: Path) -> None:
    scales, seen = Scales(), list[bool]()

    def stopped(work: Work[Plan]) -> Outcome:
        scales(work)
        raise KeyboardInterrupt

    def again(work: Work[Plan]) -> Outcome:
        seen.append((work.unfinished / "part.npz").exists())
        return scales(work)

    run = RunFiles(root / "run", root / "run" / "model.safetensors")
    places = root / "data", CPU, root / "store"
    with pytest.raises(KeyboardInterrupt):
        measure_runs(weighing(), stopped, [run], Plan(), *places)
    assert not (root / "run" / "weighed.json").exists()
    measure_runs(weighing(), again, [run], Plan(), *places)
    assert seen == [True]
    assert not scales.given[-1].exists()


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        *(("run_hash", "run"), ("weights", "weights"), ("data", "data")),
        *(("sources", "sources"), ("arrays", "arrays")),
    ],
)
def test_a_record_of_something_else_is_refused(entry: str, named: str, root: Path) -> None:
    found, folder = weigh(root, Scales()), root / "run"
    record = read_record(folder / "metrics.json")
    assert weighing().read(folder, record, Plan(), "") == found
    with pytest.raises(UserError, match="made with other plan; weigh it"):
        weighing().read(folder, record, Plan(factor=2), "weigh it")
    (folder / "weighed.json").write_text(found.model_copy(update={entry: "x"}).to_json())
    with pytest.raises(UserError, match=f"weighed.json: refused, made with other {named}; weigh"):
        weighing().read(folder, record, Plan(), "weigh it")
    assert not weighing().is_in(folder, record, Plan())


def test_changed_arrays_of_a_run_are_refused(root: Path) -> None:
    (root / "run" / "arrays.npz").write_bytes(b"other")
    with pytest.raises(UserError, match=r"arrays\.npz is (missing|not the file that)"):
        weigh(root, Scales())


def test_a_diverged_run_says_so(root: Path) -> None:
    run = RunFiles(root / "run", root / "run" / "model.safetensors")
    record = read_record(root / "run" / "metrics.json")
    work = Work(run, record, Plan(), root / "data", CPU, root / "store", root / "parts")
    assert work.divergence is None
    diverged = record.model_copy(update={"status": "diverged", "diverged_step": 7})
    work = Work(run, diverged, Plan(), root / "data", CPU, root / "store", root / "parts")
    assert work.divergence == "the run diverged at step 7"


def test_images_become_rows() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    assert levels(images).tolist() == [list(range(12)), list(range(12, 24))]


def test_each_measure_has_a_plan_an_entry_of_experiments_and_files() -> None:
    assert list(MEASURES) == list(PLANS) == list(stores.MEASURED)
    for name, measure in MEASURES.items():
        assert name in Experiment.model_fields
        assert measure.record.model_fields["plan"].annotation is PLANS[name]
        assert measure.files == (f"{name}.npz", f"{name}.json")

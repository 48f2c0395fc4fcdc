"""A tier is shown before all of it has been run, and goes on from there, here and elsewhere."""

import re
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.project import RUNS, TINY, Project, copy_project
from vaebench.runs.finished import FINISHED_ONLY

pytestmark = pytest.mark.workflow

TRAINED = ("data", "classifier", "evaluate", "train")


def heavy(jobs: list[str]) -> list[str]:
    return sorted(job.split("__")[0] for job in jobs if job.startswith(TRAINED))


def write_config(project: Project) -> None:
    """A measured experiment of two jobs, of which one will be run, and one that will not be."""
    values: dict[str, Any] = deepcopy(TINY)
    first = values["experiments"][0]
    first["sample_quality"] = True
    later = first | {"name": "constant_variance", "sample_quality": False}
    later["axes"] = {"objective": ["bilbo"], "latent_dim": [2], "seed": [0]}
    values["experiments"].append(later | {"settings": first["settings"] | {"posterior_std": 2.0}})
    values["figures"] = ["fig04", "fig13"]
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture
def partial(tmp_path: Path) -> Project:
    """The runs of `learned` are trained and not yet measured, nothing else is."""
    (tmp_path / "here").mkdir()
    project = copy_project(tmp_path / "here")
    project.hasten_classifier()
    write_config(project)
    trained = project.run("learned", 0) / "metrics.json"
    wanted = trained.relative_to(project.root).as_posix()
    assert project.jobs("--", wanted) == ["data", "train_posterior_variance"]
    return project


def test_a_part_is_shown_shared_and_completed(
    partial: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FINISHED_ONLY, "1")
    assert heavy(partial.jobs()) == ["classifier", "evaluate_posterior_variance"]
    assert "Nothing to be done" in partial.snakemake("-n").stdout
    table = (partial.results / "tables" / "posterior_variance.md").read_text()
    assert [line.split("|")[4].strip() for line in table.splitlines()[2:4]][1] == "*not run*"
    assert "*not run*" in (partial.results / "tables" / "constant_variance.md").read_text()
    assert "not run" in (partial.results / "claims.md").read_text()
    assert "2 runs of 5: the others were not run" in (partial.results / "index.html").read_text()
    captions = {
        name: (partial.results / "figures" / f"{name}.txt").read_text()
        for name in ("fig04", "fig13")
    }
    assert "Not run: 2 of 4 runs of posterior_variance." in captions["fig04"]
    assert captions["fig13"].startswith("Nothing to show yet. Not run: 2 of 2 runs")
    # One job draws both, and each keeps its own caption in Snakemake's report.
    made = partial.snakemake("--report", "report.html")
    assert made.returncode == 0, made.stderr
    shown = (partial.root / "report.html").read_text()
    for name, caption in captions.items():
        found = re.search(rf'figures/{name}\.svg": .*?"caption": "<p>(.*?)</p>', shown)
        assert found is not None
        assert found[1] == caption.strip()
    assert partial.vaebench("verify").returncode == 0

    # In a clone, from the folder that git keeps: drawn again to the byte, and nothing trained.
    published = ("--out", "published/tiny", "--unpacked")
    done = partial.vaebench("export", "--tier", "tiny", *published)
    assert done.returncode == 0, done.stderr
    (tmp_path / "elsewhere").mkdir()
    elsewhere = copy_project(tmp_path / "elsewhere")
    write_config(elsewhere)
    elsewhere.hasten_classifier()
    folder = partial.root / "published" / "tiny"
    monkeypatch.delenv(FINISHED_ONLY)
    done = elsewhere.vaebench("import", str(folder))
    assert (done.returncode, done.stdout.strip()) == (0, "results/tiny"), done.stderr
    monkeypatch.setenv(FINISHED_ONLY, "1")
    assert "Nothing to be done" in elsewhere.snakemake("-n").stdout
    drawn = {p.name: p.read_bytes() for p in (elsewhere.results / "figures").iterdir()}
    for path in (elsewhere.results / "figures").iterdir():
        path.unlink()
    assert set(elsewhere.jobs()) == {"figure", "report", "manifest"}
    assert {p.name: p.read_bytes() for p in (elsewhere.results / "figures").iterdir()} == drawn

    # The rest is trained when it is asked for, and only the rest.
    monkeypatch.delenv(FINISHED_ONLY)
    before = (elsewhere.run("learned", 0) / "metrics.json").stat().st_mtime_ns
    table = "results/tiny/tables/posterior_variance.md"
    assert elsewhere.jobs("--", table) == [
        *("collect", "data", "evaluate_posterior_variance", "tables"),
        *("train_constant_variance", "train_posterior_variance"),
    ]
    assert (elsewhere.run("learned", 0) / "metrics.json").stat().st_mtime_ns == before
    assert "*not run*" not in (elsewhere.root / table).read_text()
    assert {"figure", "claims", "report", "manifest"} <= elsewhere.planned()


def test_a_run_that_is_trained_later_is_shown_and_one_that_is_lost_is_not(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path, data_root)
    shown = "results/tiny/tables/posterior_variance.md"

    def train(objective: str) -> None:
        monkeypatch.delenv(FINISHED_ONLY, raising=False)
        wanted = project.run(objective, 0).relative_to(project.root) / "metrics.json"
        assert "train_posterior_variance" in project.jobs("--", wanted.as_posix())
        monkeypatch.setenv(FINISHED_ONLY, "1")
        assert project.jobs("--", shown) == ["collect", "tables"]

    def table() -> str:
        return (project.root / shown).read_text()

    train("learned")
    assert "*not run*" in table()
    train("bilbo")
    assert "*not run*" not in table()
    # A run whose place is empty comes from the store, unless it is lost there too.
    before = table()
    shutil.rmtree(project.run("bilbo", 1))
    project.jobs("--", shown)
    assert project.run("bilbo", 1).exists()
    assert table() == before
    shutil.rmtree(project.run("bilbo", 1))
    shutil.rmtree(project.root / ".vaebench" / "runs")
    assert project.jobs("--", shown) == ["collect", "tables"]
    assert "| 1 of 2 " in table()


def test_a_finished_run_is_shown_in_each_of_its_places(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    project = copy_project(tmp_path / "here", data_root)
    values: dict[str, Any] = deepcopy(TINY)
    first = values["experiments"][0]
    twin = first | {"name": "twin", "settings": first["settings"] | {"latent_dim": 2}}
    twin["axes"] = {"objective": ["learned", "bilbo"], "seed": [0, 1]}
    values["experiments"].append(twin)
    config = yaml.safe_dump(values, sort_keys=False)
    (project.root / "tiny.yaml").write_text(config)
    wanted = project.run("learned", 0).relative_to(project.root) / "metrics.json"
    assert project.jobs("--", wanted.as_posix()) == ["train_posterior_variance"]

    def of_twin(root: Project, objective: str) -> Path:
        return root.results / "runs" / "twin" / f"objective~{objective}/seed~1/metrics.json"

    monkeypatch.setenv(FINISHED_ONLY, "1")
    dry = project.snakemake("-n")
    assert "a run first fills 2 places" in dry.stdout + dry.stderr
    assert not of_twin(project, "learned").exists()
    assert heavy(project.jobs()) == []
    assert of_twin(project, "learned").read_bytes() == (
        (project.run("learned", 1) / "metrics.json").read_bytes()
    )
    assert not of_twin(project, "bilbo").exists()
    table = (project.results / "tables" / "twin.md").read_text()
    assert table.count("*not run*") == 1
    assert "Nothing to be done" in project.snakemake("-n").stdout
    assert project.vaebench("verify").returncode == 0

    # It stays where it is when the rest is trained.
    before = of_twin(project, "learned").stat().st_mtime_ns
    monkeypatch.delenv(FINISHED_ONLY)
    assert [job for job in project.jobs("--", RUNS) if job.startswith("train")] == [
        "train_posterior_variance", "train_twin",
    ]  # fmt: skip
    assert of_twin(project, "learned").stat().st_mtime_ns == before


def test_nothing_trained_is_nothing_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path)
    monkeypatch.setenv(FINISHED_ONLY, "1")
    done = project.snakemake()
    assert done.returncode != 0
    assert "asks for what is trained of tier 'tiny', which is nothing yet" in done.stderr

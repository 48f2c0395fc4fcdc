"""How large jobs are is no reason to do anything again."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import RUNS, copy_project

pytestmark = pytest.mark.workflow


def test_jobs_of_another_size_train_and_measure_nothing_again(
    tmp_path: Path, data_root: Path
) -> None:
    project = copy_project(tmp_path, data_root)
    project.hasten_classifier()
    values = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    values["experiments"][0]["axes"] = {
        "objective": ["bilbo"],
        "latent_dim": [2, 3],
        "seed": [0, 1],
    }
    values["experiments"][0]["sample_quality"] = True
    values["figures"] = []
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

    def heavy(size: str) -> list[str]:
        jobs = project.jobs("--default-resources", f"runs_per_job={size}", "--", RUNS)
        return [job for job in jobs if job.startswith(("train", "evaluate"))]

    together = ["evaluate_posterior_variance", "train_posterior_variance"]
    assert heavy("4") == together
    log = (
        project.results
        / "logs/train/posterior_variance/objective~bilbo/latent_dim~2_and_1_more.log"
    )
    assert "2 of 2 jobs are complete" in log.read_text()
    # Other jobs, and none of them has anything to do; without metadata neither.
    for size in ("2", "1"):
        assert heavy(size) == []
    shutil.rmtree(tmp_path / ".snakemake")
    assert heavy("3") == []
    # A seed more: as many runs as are new, in jobs of this size, and the others stay.
    before = (project.run("bilbo", 1) / "metrics.json").read_bytes()
    values["experiments"][0]["axes"]["seed"] = [0, 1, 2]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    assert heavy("6") == together
    assert (project.run("bilbo", 1) / "metrics.json").read_bytes() == before
    # What decides a result does count, whatever the size.
    project.edit("objectives/paper.py", "- 0.5 * information", "- 0.25 * 2 * information")
    again = project.planned("--default-resources", "runs_per_job=2", "--", RUNS)
    assert {rule.split("__")[0] for rule in again} == {
        "collect",
        "evaluate_posterior_variance",
        "train_posterior_variance",
    }


def test_a_size_that_cannot_be_is_refused_while_planning(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    done = project.snakemake("-n", "--default-resources", "runs_per_job=0")
    assert done.returncode != 0
    assert "runs_per_job has to be a positive whole number (found 0)" in done.stdout + done.stderr


def test_ten_thousand_runs_are_planned(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    values = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    values["experiments"][0]["axes"] = {
        "objective": ["learned", "bilbo"],
        "latent_dim": list(range(1, 21)),
        "latent_scale": [k / 10 for k in range(1, 51)],
        "seed": [0, 1, 2, 3, 4],
    }
    values["figures"] = []
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    done = project.snakemake("-n", "--default-resources", "runs_per_job=100")
    assert done.returncode == 0, done.stdout + done.stderr
    # A dry run tells them before and after.
    counts = dict(re.findall(r"^(train_\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    assert sum(map(int, counts.values())) == 10_000 / 100

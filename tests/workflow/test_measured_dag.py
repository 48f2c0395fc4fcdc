"""The rules that measure the evidence and the equations of runs."""

import shutil

import pandas as pd
import pytest
import yaml

from tests.workflow.project import RUNS, Project

pytestmark = pytest.mark.workflow


def test_the_evidence_is_measured_where_an_experiment_asks_for_it(project: Project) -> None:
    values = yaml.safe_load((project.root / "tiny.yaml").read_text())
    plan = {"images": 4, "temperatures": 8, "chains": 2, "draws": 50, "simulated": 2, "refined": 2}
    values["experiments"].append(
        values["experiments"][0]
        | {
            "name": "evident",
            "axes": {"objective": ["learned"], "latent_dim": [2, 3], "seed": [0, 1]},
            "evidence": plan,
        }
    )
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    rules = project.jobs("--", RUNS)
    assert rules.count("evidence_evident") == 2  # n = 2 was trained before, for another experiment
    assert "evidence_posterior_variance" not in rules
    assert project.planned("--", RUNS) == set()
    rows = pd.read_parquet(project.root / RUNS)
    asked = rows["experiment"] == "evident"
    assert sorted(rows[asked]["evidence_method"]) == ["ais", "ais", "grid", "grid"]
    assert rows[~asked]["evidence_mean"].isna().all()
    assert (rows[asked]["evidence_gap"] > 0).all()
    # Another plan, or other code that measures: the evidence is measured again, nothing is trained.
    project.edit("evidence/ais.py", "STEEPNESS = 4.0", "STEEPNESS = 3.0")
    assert project.planned("--", RUNS) == {"collect", "evidence_evident"}
    project.edit("evidence/ais.py", "STEEPNESS = 3.0", "STEEPNESS = 4.0")
    # Without the weights, what is measured stands, and is in the store.
    shutil.rmtree(project.results / "weights" / "evident")
    assert project.planned("--", RUNS) == set()
    record = next((project.results / "runs" / "evident").rglob("evidence.json"))
    before = record.read_bytes()
    record.unlink()
    assert project.jobs("--", record.relative_to(project.root).as_posix()) == ["evidence_evident"]
    assert record.read_bytes() == before


def test_the_equations_are_measured_where_an_experiment_asks_for_them(project: Project) -> None:
    values = yaml.safe_load((project.root / "tiny.yaml").read_text())
    values["experiments"][0]["equations"] = {
        **{"images": 4, "refined": 2, "regressed": 4, "temperatures": 4, "chains": 2},
    }
    values["figures"] = ["fig_stationarity"]
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    rules = project.jobs()
    assert "equations_posterior_variance" in rules
    assert not any(rule.startswith("train") for rule in rules)
    assert project.planned() == set()
    table = (project.results / "equations.md").read_text()
    assert "`eq12_exact`" in table
    record = next((project.results / "runs").rglob("equations.json"))
    before = record.read_bytes()
    # Other code that measures: the equations are measured again, and nothing is trained.
    project.edit("evidence/laplace.py", "import torch", "import torch  # the same")
    assert project.planned() == set()
    record.unlink()
    path = record.relative_to(project.root).as_posix()
    assert project.jobs("--", path) == ["equations_posterior_variance"]
    assert record.read_bytes() == before


def test_the_aggregated_posterior_is_measured_where_an_experiment_asks_for_it(
    project: Project,
) -> None:
    values = yaml.safe_load((project.root / "tiny.yaml").read_text())
    values["experiments"][0]["latent"] = {"draws": 20, "images": 4, "samples": 0, "turned": 2}
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    rules = project.jobs("--", RUNS)
    assert "latent_posterior_variance" in rules
    assert not any(rule.startswith("train") for rule in rules)
    assert project.planned("--", RUNS) == set()
    rows = pd.read_parquet(project.root / RUNS)
    assert rows["latent_kl"].notna().all()
    record = next((project.results / "runs").rglob("latent.json"))
    before = record.read_bytes()
    # Other code that measures: it is measured again, and nothing is trained.
    project.edit("latent/mmd.py", "SCALES = (0.25,", "SCALES = (0.125,")
    assert project.planned("--", RUNS) == {"collect", "latent_posterior_variance"}
    project.edit("latent/mmd.py", "SCALES = (0.125,", "SCALES = (0.25,")
    record.unlink()
    path = record.relative_to(project.root).as_posix()
    assert project.jobs("--", path) == ["latent_posterior_variance"]
    assert record.read_bytes() == before

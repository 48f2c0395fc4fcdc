"""snakemake for real, on a copy of the project with a tiny grid: what each change reruns."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import read_json
from tests.tiers import forge
from tests.workflow.project import RUNS, TINY, Project, copy_project
from vaebench.experiment.tier import Tier
from vaebench.runs.attestations import Attestation, AttestedPart

pytestmark = pytest.mark.workflow


def test_one_command_makes_everything(finished: Project) -> None:
    results = finished.results
    for objective in ("learned", "bilbo"):
        for seed in (0, 1):
            assert (finished.run(objective, seed) / "metrics.json").exists()
            assert (finished.run(objective, seed) / "arrays.npz").exists()
        cell = f"posterior_variance/objective~{objective}/latent_dim~2"
        log = (results / "logs" / "train" / f"{cell}.log").read_text()
        assert "epoch 2/2" in log
        assert "\r" not in log
        assert "max_rss" in (results / "benchmarks" / "train" / f"{cell}.tsv").read_text()
        weights = results / "weights" / cell / "seed~1" / "model.safetensors"
        assert weights.stat().st_size > 10_000
    # The resolved config is this tier and nothing of the default one.
    resolved = yaml.safe_load((results / "config.yaml").read_text())
    unused = {"plugins", "datasets"}
    assert resolved == Tier.model_validate(TINY).model_dump(exclude=unused)
    assert resolved["execution"]["threads"] == 1
    worker = read_json(finished.run("bilbo", 0) / "metrics.json")["worker"]
    assert isinstance(worker, dict)
    assert worker["threads"] == 1
    for file in (
        *("figures/fig05.svg", "figures/fig05.png", "figures/fig05.txt", "index.html"),
        *("tables/posterior_variance.csv", "tables/posterior_variance.md"),
        *("claims.json", "claims.md"),
    ):
        assert (results / file).stat().st_size > 50


def test_what_the_workflow_made_is_verified_until_it_is_changed(project: Project) -> None:
    done = project.vaebench("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/tiny: whole" in done.stdout
    told = project.vaebench("explain", "results/tiny/figures/fig05.png").stdout
    assert "posterior_variance/objective~bilbo/latent_dim~2/seed~0" in told
    (project.results / "tables" / "posterior_variance.md").write_text("other numbers")
    done = project.vaebench("verify", "--tier", "tiny")
    assert done.returncode == 1
    assert "results/tiny/tables/posterior_variance.md: changed" in done.stdout


def test_an_imported_tier_is_checked_and_drawn_and_not_trained(
    project: Project, tmp_path: Path
) -> None:
    """On another machine, without the data, the weights and snakemake's memory."""
    packed = project.vaebench("export", "--tier", "tiny", "--out", "tiny.tar")
    assert packed.returncode == 0, packed.stderr
    (tmp_path / "elsewhere").mkdir()
    elsewhere = copy_project(tmp_path / "elsewhere")
    archive = str(project.root / "tiny.tar")
    assert elsewhere.vaebench("import", archive).stdout.strip() == "results/tiny"
    assert "Nothing to be done" in elsewhere.snakemake("-n").stdout
    before = (elsewhere.results / "figures" / "fig05.svg").read_bytes()
    (elsewhere.results / "figures" / "fig05.svg").unlink()
    assert set(elsewhere.jobs()) <= {"figure", "report", "manifest"}
    assert (elsewhere.results / "figures" / "fig05.svg").read_bytes() == before
    assert elsewhere.vaebench("verify").returncode == 0
    # The import told snakemake by which code the runs were made, so it notices another.
    elsewhere.edit("figures/fig05.py", "}\\n{", "}, that is\\n{")
    assert "figure" in elsewhere.planned()
    # What the store adopted is not trained again either, wherever it is asked for.
    shutil.rmtree(elsewhere.results)
    assert elsewhere.vaebench("run", "--tier", "tiny.yaml").returncode == 0
    assert (elsewhere.run("bilbo", 0) / "metrics.json").exists()
    assert not (elsewhere.results / "weights").exists()


def test_a_second_run_does_nothing(project: Project) -> None:
    done = project.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_comments_new_objectives_and_other_networks_rerun_nothing(project: Project) -> None:
    project.edit("training/loop.py", "    started = time", "    # a comment\n\n    started = time")
    project.edit("core/network.py", '"""The stacked weight and bias', '"""Weight and bias')
    project.edit("models/conv.py", "SLOPE = 0.2", "SLOPE = 0.3")  # of no run here
    project.edit("figures/fig05.py", "def draw", "# a comment\ndef draw")
    added = "@objective()\ndef mine(batch):\n    return batch.kl.mean(-1)\n\n\n"
    project.edit("objectives/paper.py", "def second_moment", f"{added}def second_moment")
    # The colours of objectives come from the registry, so figures may redraw; nothing retrains.
    assert project.jobs() == []


def test_a_change_in_plotting_redraws_and_retrains_nothing(project: Project) -> None:
    before = (project.run("bilbo", 0) / "metrics.json").stat().st_mtime_ns
    project.edit("figures/fig05.py", "}\\n{", "}, that is\\n{")
    assert project.jobs() == ["figure", "manifest", "report"]
    assert (project.run("bilbo", 0) / "metrics.json").stat().st_mtime_ns == before


def test_editing_an_objective_retrains_its_runs_alone(project: Project) -> None:
    before = {o: (project.run(o, 0) / "metrics.json").read_bytes() for o in ("learned", "bilbo")}
    project.edit("objectives/paper.py", "- 0.5 * information", "- 0.25 * 2 * information")
    assert project.jobs("--", RUNS) == ["collect", "train_posterior_variance"]
    assert (project.run("learned", 0) / "metrics.json").read_bytes() == before["learned"]
    assert (project.run("bilbo", 0) / "metrics.json").read_bytes() != before["bilbo"]


def test_an_attested_edit_retrains_nothing(project: Project) -> None:
    before, part = (project.run("bilbo", 0) / "metrics.json").read_bytes(), bilbo_part(project)
    project.edit("objectives/paper.py", "- 0.5 * information", "- 0.25 * 2 * information")
    attest(project, part, bilbo_part(project))
    assert project.jobs("--", RUNS) == ["collect"]
    assert (project.run("bilbo", 0) / "metrics.json").read_bytes() == before
    rows = pd.read_parquet(project.root / RUNS).set_index("objective")["attested"]
    assert set(rows["bilbo"]) == {"bits"}
    assert rows["learned"].isna().all()
    # Also in a clone without the metadata of snakemake, and where training asks the store.
    shutil.rmtree(project.root / ".snakemake")
    shutil.rmtree(project.results)
    assert project.vaebench("run", "--tier", "tiny.yaml").returncode == 0
    assert (project.run("bilbo", 0) / "metrics.json").read_bytes() == before


def bilbo_part(project: Project) -> tuple[str, ...]:
    script = "from vaebench.runs.sources import objective_part; print(*objective_part('bilbo'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return (done.stdout.strip(),)


def attest(project: Project, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert before != after
    part = AttestedPart(
        part="objective bilbo", before=before, after=after, level="bits", largest_difference=0
    )
    record = Attestation(
        against="0" * 40,
        golden_set="1" * 64,
        cases=1,
        made="2026-01-01",
        machine="any",
        libraries={},
        parts=[part],
    )
    folder = project.root / "src/vaebench/attestation/records"
    folder.mkdir(exist_ok=True)
    (folder / "9999.json").write_text(record.to_json())


def test_a_new_seed_trains_the_new_runs_alone(project: Project) -> None:
    before = (project.run("bilbo", 1) / "metrics.json").read_bytes()
    project.config(seed=[0, 1, 2])
    assert project.jobs("--", RUNS) == ["collect", *["train_posterior_variance"] * 2]
    log = project.results / "logs/train/posterior_variance/objective~bilbo/latent_dim~2.log"
    assert "2 of 3 runs are trained already" in log.read_text()
    assert "training 1 run," in log.read_text()
    assert (project.run("bilbo", 1) / "metrics.json").read_bytes() == before
    assert (project.run("bilbo", 2) / "metrics.json").exists()
    # One seed fewer: the table loses it, nothing is trained.
    project.config(seed=[0, 1])
    store = project.root / ".vaebench" / "runs"
    count = len(list(store.rglob("metrics.json")))
    assert "tables" in project.jobs("--", "results/tiny/tables/posterior_variance.md")
    assert len(list(store.rglob("metrics.json"))) == count


def test_a_new_value_on_a_job_axis_trains_its_jobs_alone(project: Project) -> None:
    project.config(latent_dim=[2, 3])
    assert project.jobs("--", RUNS) == ["collect", *["train_posterior_variance"] * 2]
    assert (project.run("learned", 0, latent_dim=3) / "metrics.json").exists()
    assert project.planned("--", RUNS) == set()


def test_a_change_in_the_claims_judges_and_retrains_nothing(project: Project) -> None:
    path = project.root / "config" / "paper_values.yaml"
    before = path.read_text()
    path.write_text(before.replace("below: 0.316", "below: 0.317", 1))
    assert path.read_text() != before
    # The tables stand beside the paper's numbers, which the same file holds.
    assert project.jobs() == ["claims", "manifest", "report", "tables"]
    project.edit("claims/curves.py", "0.1 * history", "0.2 * history")
    assert project.planned() == {"claims", "manifest", "report"}


def test_sample_quality_is_measured_by_a_classifier_that_the_workflow_trains(
    project: Project,
) -> None:
    """An experiment that asks for it, in two rules since `learned` takes no posterior_std."""
    project.hasten_classifier()
    values = yaml.safe_load((project.root / "tiny.yaml").read_text())
    values["experiments"].append(
        values["experiments"][0]
        | {
            "name": "quality",
            "axes": {"objective": ["learned", "bilbo"], "posterior_std": [0.5, 2.0], "seed": [0]},
            "packed": ["posterior_std", "seed"],
            "settings": values["experiments"][0]["settings"] | {"latent_dim": 3},
            "sample_quality": True,
        }
    )
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    table = "results/tiny/tables/quality.csv"
    assert project.jobs("--", table) == [
        "classifier", "collect", "evaluate_quality", "evaluate_quality__2", "tables",
        "train_quality", "train_quality__2",
    ]  # fmt: skip
    assert project.planned("--", table) == set()
    runs = project.results / "runs" / "quality"
    folders = {path.parent.relative_to(runs).as_posix() for path in runs.rglob("evaluation.json")}
    assert folders == {
        "objective~learned/seed~0",
        "objective~bilbo/posterior_std~0.5/seed~0",
        "objective~bilbo/posterior_std~2/seed~0",
    }
    classifier = read_json(project.results / "classifiers" / "digits" / "classifier.json")
    measured = read_json(runs / "objective~learned" / "seed~0" / "evaluation.json")
    assert measured["classifier"] == classifier["weights"]
    assert "sample_kid_mean" in (project.root / table).read_text()
    # Other code that measures: the samples are measured again, and nothing is trained.
    project.edit("quality/measures.py", "INK = 0.5", "INK = 0.6")
    assert project.planned("--", RUNS) == {
        *("classifier", "collect", "evaluate_quality", "evaluate_quality__2")
    }
    project.edit("quality/measures.py", "INK = 0.6", "INK = 0.5")
    # Without the weights, what is measured stands, and is in the store.
    shutil.rmtree(project.results / "weights" / "quality")
    assert project.planned("--", RUNS) == set()
    evaluation = runs / "objective~learned" / "seed~0" / "evaluation.json"
    before = evaluation.read_bytes()
    evaluation.unlink()
    again = evaluation.relative_to(project.root).as_posix()
    assert project.jobs("--", again) == ["evaluate_quality"]
    assert evaluation.read_bytes() == before
    # What was never measured says what is missing.
    for kept in (project.root / ".vaebench").rglob("evaluation.json"):
        kept.unlink()
    evaluation.unlink()
    done = project.snakemake("--", again)
    assert done.returncode != 0
    assert "samples are drawn from the weights" in done.stdout + done.stderr


def test_stale_runs_are_refused_in_a_clone_without_metadata(project: Project) -> None:
    shutil.rmtree(project.root / ".snakemake")
    project.edit("objectives/paper.py", "- 0.5 * information", "- 0.25 * 2 * information")
    (project.results / "runs.parquet").unlink()
    done = project.snakemake("--", RUNS)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "objective~bilbo/latent_dim~2/seed~1: refused, made with other sources" in text
    assert "learned/latent_dim~2/seed~1: refused" not in text
    match = re.search(r"train it with: vaebench (.+)", text)
    assert match
    arguments = [argument.strip("'") for argument in match[1].split()]
    assert project.vaebench(*arguments).returncode == 0
    assert project.jobs("--", RUNS) == ["collect"]


def test_runs_of_other_settings_are_refused_in_a_clone_without_metadata(project: Project) -> None:
    shutil.rmtree(project.root / ".snakemake")
    path = project.root / "tiny.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    done = project.snakemake()
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("refused, made with other settings") == 4


def test_results_without_the_data_are_checked_and_not_retrained(project: Project) -> None:
    shutil.rmtree(project.root / "data")
    shutil.rmtree(project.root / ".snakemake")
    (project.results / "runs.parquet").unlink()
    assert project.jobs("--", RUNS) == ["collect"]


def test_a_run_changed_by_hand_is_refused(project: Project) -> None:
    path = project.run("learned", 0) / "metrics.json"
    whole = path.read_text()
    path.write_text(whole.replace('"active_units": ', '"active_units": 1', 1))
    done = project.snakemake()
    assert done.returncode != 0
    assert "damaged, or changed by hand" in done.stdout + done.stderr
    path.write_text(whole)
    forge(path, '"seed": 0', '"seed": 9')
    done = project.snakemake()
    assert done.returncode != 0
    assert "seed~0: refused, its record was changed" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--configfile", "tiny.yaml", "config/smoke.yaml"], "tiers are never merged"),
        (["--config", "tier=other"], "--config (tier) is not taken"),
        (
            [
                "results/tiny/runs/posterior_variance/objective~elbow/latent_dim~2/seed~0/metrics.json"
            ],
            "MissingRuleException",
        ),
        (["results/tiny/figures/fig02.svg"], "MissingRuleException"),
    ],
)
def test_wrong_calls_fail_while_planning(
    project: Project, arguments: list[str], message: str
) -> None:
    done = project.snakemake("--dry-run", *arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_a_bad_config_is_refused_before_anything_runs(project: Project) -> None:
    project.config(latent_dim=[0])
    done = project.snakemake()
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "experiments.0: axes.latent_dim: Input should be greater than or equal to 1" in text
    assert "Traceback" not in text


def test_data_that_cannot_be_had_end_with_one_error(project: Project) -> None:
    """The official hosts are replaced by an address that nothing listens on."""
    values = yaml.safe_load((project.root / "tiny.yaml").read_text())
    values["experiments"][0]["settings"]["dataset"] = "mnist"
    values["execution"] = {"mirrors": ["/nowhere"]}
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(values))
    project.edit(
        "data/idx.py", "for host in dataset.mirrors", 'for host in ["http://127.0.0.1:9/"]'
    )
    done = project.snakemake()
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "/nowhere/mnist/train-images-idx3-ubyte.gz: no such file" in text
    assert "http://127.0.0.1:9/train-images-idx3-ubyte.gz: cannot be read" in text
    assert "VAEBENCH_MIRROR" in text
    assert not (project.root / "data" / "prepared" / "mnist").exists()

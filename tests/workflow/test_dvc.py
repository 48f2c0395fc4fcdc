"""DVC for real: a tier is recorded, sent, and brought into a fresh clone."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.workflow.project import TINY, Project, copy_project

pytestmark = pytest.mark.workflow

SMOKE = json.loads(json.dumps(TINY)) | {"tier": "smoke"}
SMOKE["experiments"][0]["sample_quality"] = True
SMOKE["experiments"][0]["axes"]["objective"] = ["bilbo"]
SMOKE["experiments"][0]["equations"] = {
    "images": 4, "refined": 2, "regressed": 20, "temperatures": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Clone(Project):
    """A clone of the project whose smoke tier is tiny; its home, with the remote, is beside it."""

    @property
    def results(self) -> Path:
        return self.root / "results" / "smoke"

    def environment(self) -> dict[str, str]:
        person = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
        }
        return super().environment() | person | {"HOME": str(self.root.parent / "home")}

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        return [a.replace("tiny.yaml", "config/smoke.yaml") for a in command]

    def run_command(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self.run_command("env", f"PATH={path}", sys.executable, "-m", "dvc", *arguments)

    def clone(self, name: str) -> "Clone":
        other = Clone(self.root.parent / name)
        self.run_command("git", "clone", "-q", str(self.root), str(other.root))
        return other

    def figures(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.results / "figures").iterdir()}


def make_origin(folder: Path) -> Clone:
    root = folder / "origin"
    root.mkdir()
    (folder / "home").mkdir()
    copy_project(root).hasten_classifier()
    (root / "tiny.yaml").unlink()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", "Makefile"):
        shutil.copy(PROJECT / name, root / name)
    kept = shutil.ignore_patterns("cache", "tmp", "config.local")
    shutil.copytree(PROJECT / ".dvc", root / ".dvc", ignore=kept)
    (root / "config" / "smoke.yaml").write_text(yaml.safe_dump(SMOKE, sort_keys=False))
    origin = Clone(root)
    origin.run_command("git", "init", "-q", "-b", "main")
    origin.run_command("git", "add", "-A")
    origin.run_command("git", "commit", "-qm", "sources")
    return origin


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which the tier was run, pushed and committed."""
    origin = make_origin(tmp_path_factory.mktemp("dvc"))
    done = origin.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    pushed = origin.vaebench("push", "--tier", "smoke")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    origin.run_command("git", "commit", "-qm", "results")
    return origin


def test_small_text_is_gits_and_bytes_are_dvcs(origin: Clone) -> None:
    tracked = origin.run_command("git", "ls-files", "results", "data", "dvc.lock").split()
    assert {Path(name).suffix for name in tracked} == {
        ".lock", ".yaml", ".json", ".md", ".csv",
    }  # fmt: skip
    assert not any("runs/" in name or "weights/" in name for name in tracked)
    assert origin.run_command("git", "status", "--porcelain") == ""
    assert "up to date" in origin.dvc("status", "tier@smoke")


def test_a_fresh_clone_pulls_and_has_nothing_to_do(origin: Clone) -> None:
    fresh = origin.clone("fresh")
    pulled = fresh.vaebench("pull")
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert fresh.planned() == set()
    assert fresh.vaebench("verify", "--weights").returncode == 0
    assert (fresh.root / "data" / "prepared" / "digits" / "train_images.npy").exists()
    expected = origin.figures()
    assert fresh.figures() == expected
    # Every figure again, from the runs: the same bytes, and nothing is trained or measured.
    shutil.rmtree(fresh.results / "figures")
    assert set(fresh.jobs()) == {"figure", "report", "manifest"}
    assert fresh.figures() == expected
    # Training knows the runs too, and a new seed trains that alone.
    values = json.loads(json.dumps(SMOKE))
    values["experiments"][0]["axes"]["seed"] = [0, 1, 2]
    (fresh.root / "config" / "smoke.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    new = fresh.run("bilbo", 2).relative_to(fresh.root) / "metrics.json"
    assert fresh.jobs("--", new.as_posix()) == ["train_posterior_variance"]
    (log,) = fresh.results.rglob("logs/train/**/*.log")
    assert "2 of 3 runs are trained already" in log.read_text()


def test_stale_results_are_refused_and_stay_refused(origin: Clone) -> None:
    other = origin.clone("stale")
    other.edit(
        "training/loop.py", "time.perf_counter() - started", "time.perf_counter() - started + 0"
    )
    pulled = other.vaebench("pull")
    assert pulled.returncode == 2
    assert "stale: other sources than this checkout's made 2 of its runs" in pulled.stderr
    assert not (other.root / ".vaebench").exists()
    assert "collect" in other.planned()
    done = other.snakemake("--rerun-triggers", "mtime")
    assert done.returncode != 0
    assert "refused, made with other sources" in done.stdout + done.stderr

    config = origin.clone("other-config")
    values = json.loads(json.dumps(SMOKE))
    values["experiments"][0]["settings"]["epochs"] = 3
    (config.root / "config" / "smoke.yaml").write_text(yaml.safe_dump(values))
    pulled = config.vaebench("pull", "--tier", "smoke")
    assert pulled.returncode == 2
    assert "config/smoke.yaml asks for other runs" in pulled.stderr

    plotting = origin.clone("plotting")
    plotting.edit("figures/fig05.py", "}\\n{", "}, that is\\n{")
    assert "so they will be made again: fig05" in plotting.vaebench("pull").stderr
    assert plotting.planned() == {"figure", "report", "manifest"}


def test_what_was_changed_on_the_way_is_refused(origin: Clone) -> None:
    other = origin.clone("tampered")
    table = other.results / "tables" / "posterior_variance.csv"
    table.write_text(table.read_text().replace("1", "2"))
    pulled = other.vaebench("pull")
    assert pulled.returncode == 2
    assert "tables/posterior_variance.csv: changed" in pulled.stderr


def test_wrong_calls_say_what_there_is(origin: Clone, tmp_path: Path) -> None:
    assert (
        "does not record 'paper'; it records: smoke"
        in origin.vaebench("pull", "--tier", "paper").stderr
    )
    assert (
        "has no tier 'tiny'; it has: smoke, quick"
        in origin.vaebench("push", "--tier", "tiny").stderr
    )
    assert "call this in the project's folder" in Clone(tmp_path).vaebench("push").stderr
    assert "nothing was recorded" in Clone(tmp_path).vaebench("pull").stderr


def test_metrics_and_experiments(origin: Clone) -> None:
    here = origin.clone("experiments")
    assert here.vaebench("pull").returncode == 0
    shown = json.loads(here.dvc("metrics", "show", "--json", "results/smoke/claims.json"))
    verdicts = shown[""]["data"]["results/smoke/claims.json"]["data"]["verdicts"]
    ledger = json.loads((here.results / "claims.json").read_text())
    assert verdicts == ledger["verdicts"]
    assert sum(verdicts.values()) == len(ledger["claims"])
    # The stage is a call of snakemake, which trains what the changed value asks for.
    here.dvc(
        "exp", "run", "tier@smoke", "--name", "longer",
        "-S", "config/smoke.yaml:experiments.0.settings.epochs=3",
    )  # fmt: skip
    changed = json.loads(here.dvc("metrics", "diff", "--json"))
    records = changed["results/smoke/claims.json"]["made_from.records"]
    assert records["old"] != records["new"]
    assert "longer" in here.dvc("exp", "show", "--csv")


@pytest.fixture
def s3() -> Iterator[str]:
    """An S3 server on loopback; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < limit
        assert server.poll() is None
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def test_s3_makes_the_round_trip(origin: Clone, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    create = (
        "import boto3, sys; "
        "boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='vaebench')"
    )
    here = origin.clone("sender")
    here.run_command(sys.executable, "-c", create, s3)
    assert here.vaebench("pull").returncode == 0
    here.dvc("remote", "add", "--default", "bucket", "s3://vaebench/dvc")
    here.dvc("remote", "modify", "bucket", "endpointurl", s3)
    here.run_command("git", "commit", "-qam", "remote")
    pushed = here.vaebench("push", "--tier", "smoke")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    there = here.clone("receiver")
    # Nothing comes from the folder.
    folder = origin.root.parent / "home" / ".local"
    away = folder.rename(folder.with_name("away"))
    try:
        pulled = there.vaebench("pull")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert there.planned() == set()
    assert there.figures() == origin.figures()

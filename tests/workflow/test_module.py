"""The workflow as a module of another one, as snakedeploy and the workflow catalog use it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.workflow.project import TINY, Project

MODULE = f"""
module vaebench:
    snakefile: "{PROJECT / "workflow" / "Snakefile"}"
    config: config
use rule * from vaebench"""


def plan(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`snakemake -n` in a folder that has nothing but the Snakefile, a config and the profiles."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *options],
        cwd=root,
        env=Project(root).environment() | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
    )


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("snakefile", "options", "prefix"),
    [
        (f"{MODULE} as mine_*", ["--configfile", "config/tiny.yaml"], "mine_"),
        (f'configfile: "config/tiny.yaml"\n{MODULE}', [], ""),
        # As snakedeploy writes it: this project has no config/config.yaml.
        (f'configfile: "config/config.yaml"\n{MODULE}', ["--configfile", "config/tiny.yaml"], ""),
    ],
)
def test_another_workflow_plans_the_same_jobs(
    tmp_path: Path, snakefile: str, options: list[str], prefix: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tiny.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (tmp_path / "Snakefile").write_text(snakefile)
    done = plan(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    for job in ("data", "train_posterior_variance", "collect", "figure", "claims", "manifest"):
        assert f"\n{prefix}{job} " in done.stdout + done.stderr, job
    assert not (tmp_path / "results").exists()


def test_the_catalog_finds_what_it_needs() -> None:
    shown = yaml.safe_load((PROJECT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    config = Path(shown["mandatory-flags"]["flags"].split()[-1])
    assert (PROJECT / config).exists()
    assert set(shown["software-stack-deployment"]) == {
        *("conda", "singularity", "singularity+conda"),
    }
    assert (PROJECT / "workflow" / "Snakefile").exists()
    assert "## Keys" in (PROJECT / "config" / "README.md").read_text()

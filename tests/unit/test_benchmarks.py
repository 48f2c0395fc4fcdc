"""The program that writes docs/performance.md, in its short form: real parts of a useless size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PROGRAM = PROJECT / "benchmarks" / "report.py"
PAGE = PROJECT / "docs" / "performance.md"
PARTS = ("training", "convolution", "measuring", "scale", "starts")


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def between(text: str, part: str) -> str:
    start = text.index(f"<!-- benchmark {part}: begin")
    return text[start : text.index(f"<!-- benchmark {part}: end -->")]


@pytest.mark.parametrize("part", PARTS)
def test_the_page_has_a_place_for_each_part(part: str) -> None:
    assert between(PAGE.read_text(), part).count("benchmark") >= 1


@pytest.mark.workflow
def test_parts_are_written_between_their_marks_and_nothing_else_is(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())
    done = report("convolution", "scale", "--short", "--page", str(page))
    assert done.returncode == 0, done.stderr
    before, after = PAGE.read_text(), page.read_text()
    assert "| plain loop, channels last |" in between(after, "convolution")
    assert "| 200 |" in between(after, "scale")
    for part in ("convolution", "scale"):
        assert "torch 2" in between(after, part)
        after = after.replace(between(after, part), between(before, part))
    assert after == before


def test_a_page_without_marks_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    done = report("scale", "--short", "--page", str(page))
    assert done.returncode != 0
    assert "lacks the lines '<!-- benchmark scale: begin" in done.stderr
    assert page.read_text() == "nothing"

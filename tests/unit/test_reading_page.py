"""A reading of the results, whose numbers and verdicts are those of the published ledgers."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from vaebench.experiment.tier import load_tier
from vaebench.paths import PUBLISHED
from vaebench.reporting.reading import MISSING, write_reading
from vaebench.results.read import load_results

EVIDENCE = load_tier(PROJECT / "config" / "evidence.yaml")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A copy of what the page is made from, without the runs."""
    for tier in ("paper", "evidence"):
        there = (PROJECT / PUBLISHED).with_name(tier)
        shutil.copytree(there, tmp_path / tier, ignore=shutil.ignore_patterns("runs", "figures"))
    return tmp_path


def test_the_page_in_docs_is_up_to_date() -> None:
    results = load_results(PROJECT / PUBLISHED)
    assert write_reading(results, EVIDENCE, PROJECT / "docs" / "reading.md", check=True) == []


def test_numbers_and_verdicts_follow_the_ledger(published: Path) -> None:
    page, ledger = published / "reading.md", published / "paper" / "claims.json"
    results = load_results(published / "paper")
    assert write_reading(results, EVIDENCE, page, check=True) == [page]
    assert not page.exists()
    assert write_reading(results, EVIDENCE, page) == [page]
    assert write_reading(results, EVIDENCE, page) == []
    before = page.read_text()
    assert "(**not run yet**)" not in before.split("## What evidence says")[0]
    text = ledger.read_text()
    start = text.index('"fig03-other-dimension"')
    changed = text[start:].replace('"verdict": "reproduced"', '"verdict": "differs"', 1)
    ledger.write_text(text[:start] + changed)
    assert write_reading(results, EVIDENCE, page) == [page]
    assert '"lack of correlation" is **reproduced**' in before
    assert '"lack of correlation" is **not reproduced**' in page.read_text()


def test_what_is_not_measured_is_said_to_be_so(published: Path) -> None:
    shutil.rmtree(published / "evidence")
    results, page = load_results(published / "paper"), published / "reading.md"
    write_reading(results, EVIDENCE, page)
    text = page.read_text()
    assert f"in evidence by {MISSING} (**not run yet**) at n = 2" in text
    assert f"| learned variances | 0 | {MISSING} |" in text

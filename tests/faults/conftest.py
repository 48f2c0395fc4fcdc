"""Counts what the fault suite did, says it at the end, and shows it in docs/faults.md."""

import os
import platform
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.conftest import PROJECT
from tests.faults.harness import LONG

Count = Callable[[str, int], None]

AT_RANDOM = "kills at random moments of"
"""What the kinds of random kills begin with."""
LEAST_KILLS = 200
"""Of the long form."""
PAGE = PROJECT / "docs" / "faults.md"
BEGIN, END = "<!-- begin: make faults -->", "<!-- end: make faults -->"


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Call it with a kind of fault and how many there were."""
    return lambda kind, number: record_property("fault", (kind, number))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if hasattr(terminalreporter.config, "workerinput"):
        return  # One of pytest's workers, which knows its own tests alone.
    totals: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "fault" and isinstance(value, tuple | list):
                totals[str(value[0])] += int(str(value[1]))
    if not totals:
        return
    terminalreporter.section("faults that were survived")
    table = _table(totals)
    terminalreporter.write_line(table)
    kills = sum(number for kind, number in totals.items() if kind.startswith(AT_RANDOM))
    failed = len(terminalreporter.getreports("failed")) + len(terminalreporter.getreports("error"))
    if os.environ.get("VAEBENCH_FAULTS_PAGE"):
        _show(table, kills, failed)
        terminalreporter.write_line(f"written to {PAGE}")
    if LONG and kills < LEAST_KILLS:
        terminalreporter.write_line(
            f"only {kills} kills at random moments were survived; a whole long form has "
            f"{LEAST_KILLS} or more"
        )


def _table(totals: Counter[str]) -> str:
    lines = [f"| {kind} | {number:,} |" for kind, number in sorted(totals.items())]
    return "\n".join(["| fault | times |", "|---|---|", *lines])


def _show(table: str, kills: int, failed: int) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(f"{BEGIN}\n")
    _, after = rest.split(END)
    made = (
        f"On {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, the {'long' if LONG else 'short'} form: {kills} kills at random "
        f"moments; {failed} tests failed.\n"
    )
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{table}\n{END}{after}", encoding="utf-8")

"""Counts what the fault suite did, and says it at the end."""

from collections import Counter
from collections.abc import Callable

import pytest

Count = Callable[[str, int], None]


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Call it with a kind of fault and how many there were."""
    return lambda kind, number: record_property("fault", (kind, number))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    totals: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "fault" and isinstance(value, tuple | list):
                totals[str(value[0])] += int(str(value[1]))
    if totals:
        terminalreporter.section("faults that were survived")
        for kind, number in sorted(totals.items()):
            terminalreporter.write_line(f"{number:5} {kind}")

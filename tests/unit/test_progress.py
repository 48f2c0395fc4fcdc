"""What training says of itself where nobody sees a bar."""

import logging

import pytest

from vaebench.progress import TrainingProgress


def test_the_time_that_is_left_is_that_of_intervals_after_the_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first one compiled the step: 40 seconds, and those after it take 4."""
    now = 0.0
    monkeypatch.setattr("vaebench.progress.time.monotonic", lambda: now)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    caplog.set_level(logging.INFO)
    with TrainingProgress("cell", 100) as shown:
        for number, seconds in [(1, 40), (2, 4), (3, 4), (99, 384), (100, 4)]:
            now += seconds
            shown.report(number, 9.7, -123.456)
    assert [record.getMessage() for record in caplog.records] == [
        "[cell] epoch 1/100, 10 steps/s, test objective -123.46 nats",
        # 2 comes too soon after the line of 1.
        "[cell] epoch 3/100, 10 steps/s, test objective -123.46 nats, 6:28 left",
        "[cell] epoch 99/100, 10 steps/s, test objective -123.46 nats, 0:04 left",
        "[cell] epoch 100/100, 10 steps/s, test objective -123.46 nats, 0:00 left",
    ]


def test_nothing_is_said_of_what_is_not_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    caplog.set_level(logging.INFO)
    with TrainingProgress("cell", 1, "step", 500) as shown:
        shown.report(1, None, None)
    assert caplog.messages == ["[cell] step 500/500"]

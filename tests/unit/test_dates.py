"""A clock that was set back: dates of files in the future."""

import os
import time
from pathlib import Path

from vaebench.workflow.dates import end_future_dates


def test_dates_in_the_future_end_and_their_order_stays(tmp_path: Path) -> None:
    now = time.time()
    dates = {"c/oldest": -100, "b": 86_400, "a/deep/newest": 90_000, "c/newer": 86_500, "d": -50}
    for name, seconds in dates.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now + seconds, now + seconds))
    places = [tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d", tmp_path / "none"]
    assert end_future_dates(places) == 3
    found = {name: (tmp_path / name).stat().st_mtime for name in dates}
    in_order = sorted(found, key=found.__getitem__)
    assert in_order == ["c/oldest", "d", "b", "c/newer", "a/deep/newest"]
    assert max(found.values()) <= time.time()
    assert abs(found["d"] - (now - 50)) < 0.01
    assert end_future_dates(places) == 0

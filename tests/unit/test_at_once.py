"""Two processes with one store, and what the system refuses: locks, room on a disk."""

import errno
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vaebench.files import digest_file, naming


def start(data_root: Path, out: Path, store: Path) -> subprocess.Popen[str]:
    command = [
        *(sys.executable, "-m", "vaebench", "train", "--objective", "bilbo", "--seeds", "0,1"),
        *("--epochs", "100", "--hidden-units", "16", "--hidden-layers", "1", "--batch-size", "50"),
        *("--out", str(out), "--store", str(store), "--data", str(data_root)),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def weights(folder: Path) -> list[str]:
    return [digest_file(path) for path in sorted(folder.rglob("model.safetensors"))]


def test_a_stopped_process_is_named_and_loses_nothing(tmp_path: Path, data_root: Path) -> None:
    """Two trainings of one run, of two folders with one store; SIGSTOP holds the first one."""
    store = tmp_path / "store"
    first = start(data_root, tmp_path / "a", store)

    def held() -> int:
        """The number of locks with the name of their holder."""
        return sum(path.stat().st_size > 0 for path in (store / "locks").glob("*.lock"))

    deadline = time.monotonic() + 120
    while held() < 2:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    try:
        second = start(data_root, tmp_path / "b", store)
        assert second.stderr is not None
        line = next((line for line in second.stderr if "waiting" in line), "it did not wait")
    finally:
        first.send_signal(signal.SIGCONT)
    assert f"waiting: process {first.pid} on {platform.node()} works on one of these runs" in line
    for process in (first, second):
        text = process.communicate(timeout=300)[1]
        assert process.returncode == 0, text
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_an_error_of_the_system_names_its_place(tmp_path: Path) -> None:
    """A full disk is played by a limit on the size of files, which the kernel enforces."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from vaebench.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), bytes(2000))\n"
        "except OSError as error: print(error.filename)\n"
    )
    path = tmp_path / "metrics.json"
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No locks available") as found, naming(tmp_path / "here"):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    assert found.value.filename == str(tmp_path / "here")

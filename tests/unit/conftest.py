import shutil
from pathlib import Path

import pytest

from tests.tiers import make_finished_tier
from vaebench.paths import Layout


@pytest.fixture(scope="session")
def finished_tier(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """The folder of a small tier with everything that the workflow makes."""
    return make_finished_tier(tmp_path_factory.mktemp("finished"), data_root)


@pytest.fixture
def layout(finished_tier: Path, tmp_path: Path) -> Layout:
    """A copy of it, to be changed."""
    root = tmp_path / "small"
    shutil.copytree(finished_tier, root)
    return Layout(root)

"""The page on CelebA while nothing is published, and as it stands in the documentation."""

from pathlib import Path

from tests.conftest import PROJECT
from vaebench.experiment.tier import load_tier
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.faces import write_faces

TIER = load_tier(PROJECT / "config" / "celeba-10k-numbers.yaml")


def test_an_empty_tier_says_that_nothing_is_published(tmp_path: Path) -> None:
    layout, page = Layout(tmp_path / TIER.tier), tmp_path / "celeba.md"
    assert write_faces(TIER, layout, page, check=True) == [page]
    assert not page.exists()
    assert write_faces(TIER, layout, page) == [page]
    assert write_faces(TIER, layout, page) == []
    assert "None of the 21 runs is published yet." in page.read_text()
    assert "| method |" not in page.read_text()


def test_the_page_in_docs_is_up_to_date() -> None:
    layout = Layout((PROJECT / PUBLISHED).with_name(TIER.tier))
    assert write_faces(TIER, layout, PROJECT / "docs" / "celeba.md", check=True) == []

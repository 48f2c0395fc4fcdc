"""The documentation as a site: links of the repository hold there, and it needs no network."""

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import vaebench
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", PROJECT / "docs" / "hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "text", "shown"),
    [
        ("index.md", "[a](docs/data.md#x)", "[a](data.md#x)"),
        ("index.md", "[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("index.md", "![a](docs/images/fig06.png)", "![a](images/fig06.png)"),
        ("data.md", "[a](../README.md#start)", "[a](index.md#start)"),
        ("data.md", "[a](results.md)", "[a](results.md)"),
        ("configs.md", "[a](../docs/data.md)", "[a](data.md)"),
        ("configs.md", "[a](paper.yaml)", "[a](files/config/paper.yaml)"),
        ("data.md", "[`a`](../config/paper.yaml)", "[`a`](files/config/paper.yaml)"),
        ("data.md", "[a](../src/vaebench/errors.py)", "a"),
        ("data.md", "[a](../missing.yaml)", "[a](../missing.yaml)"),
        ("data.md", "[a](https://example.org/b.md#c)", "[a](https://example.org/b.md#c)"),
        ("data.md", "[a](#b)", "[a](#b)"),
        ("data.md", "```sh\n[a](../README.md)\n```\n", "```sh\n[a](../README.md)\n```\n"),
    ],
)  # fmt: skip
def test_links_hold_on_the_site(hooks: ModuleType, page: str, text: str, shown: str) -> None:
    assert hooks.with_links_of_the_site(text, page) == shown


class Loaded(HTMLParser):
    """What a page loads from elsewhere: scripts, styles, pictures and frames."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = ("src", "srcset") if tag != "link" else ("href",)
        self.places += [value for name, value in attrs if name in wanted and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the documentation's packages are not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    names = {path.stem for path in (PROJECT / "docs").glob("*.md")}
    for name in names | {"contributing", "changes", "configs"}:
        assert (site / f"{name}.html").exists(), name
    assert list((site / "files" / "results" / "published").rglob("fig04.png"))
    pages = sorted(site.rglob("*.html"))
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text())
        outside = [p for p in parser.places if re.match(r"(\w+:)?//", p)]
        assert not outside, (page, outside)
    styles = " ".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)


def test_the_python_api_shows_every_public_name(site: Path) -> None:
    text = (site / "api.html").read_text()
    for name in vaebench.__all__:
        place = vaebench._PLACES[name]
        assert f'id="vaebench.{name}"' in text or f'id="vaebench.{place}.{name}"' in text, name
    assert 'id="vaebench.TrainedRun.sample"' in text


def test_a_broken_link_fails_and_a_page_of_questions_is_found(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the documentation's packages are not installed")
    for name in ("docs", "src", "config"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    for name in ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, tmp_path / name)
    shutil.copytree(
        PROJECT / "results/published/paper/figures", tmp_path / "results/published/paper/figures"
    )
    (tmp_path / "docs" / "questions_more.md").write_text("# More questions\n")
    page = tmp_path / "docs" / "start.md"
    page.write_text(page.read_text() + "\n[broken](concepts.md#nowhere)\n")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "does not contain an anchor '#nowhere'" in done.stderr
    assert "questions_more.md" not in done.stderr
    assert 'href="questions_more.html"' in (tmp_path / "site" / "index.html").read_text()

"""What the repository shows of tiers: whole, importable, and drawn from the runs beside it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import UNTRAINED
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.figures.draw import draw_figure
from vaebench.paths import PUBLISHED, Layout
from vaebench.provenance.verify import verify
from vaebench.reporting.published import BEGIN, END, write_pages
from vaebench.reporting.statements import NOT_PRINTED
from vaebench.reporting.tables import write_tables
from vaebench.results.read import load_results
from vaebench.sharing.archive import import_tier

KEPT = Layout(PROJECT / PUBLISHED)
MOST_BYTES = 40 * 1000**2
TIERS = sorted(path.name for path in KEPT.root.parent.iterdir())


@pytest.fixture
def copy(tmp_path: Path) -> Layout:
    shutil.copytree(KEPT.root, tmp_path / "paper")
    return Layout(tmp_path / "paper")


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_published_is_whole_and_by_these_sources(tier: str) -> None:
    layout = Layout(KEPT.root.with_name(tier))
    found = verify(layout)
    assert found.problems == []
    assert found.other_sources == []
    sizes = [path.stat().st_size for path in layout.root.rglob("*") if path.is_file()]
    assert max(sizes) < 3 * 1000**2
    # The grid is that of the config, whatever of it was run.
    assert load_tier(layout.config).experiments == (
        load_tier(PROJECT / "config" / f"{tier}.yaml").experiments
    )


def test_of_celeba_claims_on_celeba_alone_are_judged() -> None:
    path = Layout(KEPT.root.with_name("celeba-10k-numbers")).claims("json")
    borne = [line for line in json.loads(path.read_text())["claims"] if line["bears"]]
    assert len(borne) == 24
    assert all(re.match(r"celeba-|fig16-|fig17-|section71-trace", line["id"]) for line in borne)


def test_what_is_published_fits_into_a_clone() -> None:
    sizes = [path.stat().st_size for path in KEPT.root.parent.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_BYTES


@pytest.mark.parametrize("tier", TIERS)
def test_an_imported_tier_gives_figures_and_tables_to_the_byte(tier: str, tmp_path: Path) -> None:
    kept = KEPT.root.with_name(tier)
    layout = import_tier(kept, tmp_path / "results", tmp_path / "store")
    results = load_results(layout.root)
    for folder in ("figures", "tables"):
        shutil.rmtree(layout.root / folder)
    for name in results.tier.figures:
        draw_figure(results, name)
    for experiment in results.tier.experiments:
        write_tables(results, experiment.name, PROJECT / "config" / "paper_values.yaml")
    for folder in ("figures", "tables"):
        for path in sorted((kept / folder).iterdir()):
            assert (layout.root / folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_pages_are_what_the_results_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    results = load_results(PUBLISHED)
    evidence = (Layout(PUBLISHED.with_name("evidence")), Path("docs/evidence_results.md"))
    faces = (Layout(PUBLISHED.with_name("celeba-10k-numbers")), Path("docs/celeba.md"))
    readme = Path("README.md")
    assert write_pages(results, Path("docs/results.md"), readme, True, evidence, faces) == []
    ledger = json.loads(evidence[0].claims("json").read_text())["claims"]
    here = json.loads(Layout(PUBLISHED).claims("json").read_text())["claims"]
    shown = {line["id"] for line in here if line["bears"]}
    others = [
        line["verdict"]
        for line in ledger
        if line["source"] == "paper" and line["bears"] and line["id"] not in shown
    ]
    said = " ".join(readme.read_text().split())
    assert f"Of {len(others)} more, about its equations:" in said
    assert f"**differs** {others.count('differs')}, " in said.partition("about its equations:")[2]
    of_faces = json.loads(faces[0].claims("json").read_text())["claims"]
    judged = {line["id"] for line in of_faces if line["bears"] and line["verdict"] != "not run"}
    printed = [line for line in here if line["bears"] and line["paper"] != NOT_PRINTED]
    lacking = {line["id"] for line in printed if line["verdict"] == "not run"}
    count = len(judged & lacking)
    claims = "claim that is" if count == 1 else "claims that are"
    about_faces = f"For {count} of the paper's {claims} not run, there are runs"
    assert (about_faces in said) == (count > 0)
    assert f"Of {len(printed)} numbers and claims of the paper about these runs:" in said
    assert f"Of {len(shown) - len(printed)} more, which we ask beside the paper:" in said


REPRODUCED = ("eq20-minimum", "eq23-identity", "eq22-small", "eq17-elbo")


def test_equations_that_hold_without_training_are_counted(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    for tier in ("paper", "evidence"):
        shutil.copytree(
            (PROJECT / PUBLISHED).with_name(tier), tmp_path / tier,
            ignore=shutil.ignore_patterns("runs", "codes"),
        )  # fmt: skip
    layout = Layout(tmp_path / "evidence")
    ledger = json.loads(layout.claims("json").read_text())
    for line in ledger["claims"]:
        line["verdict"] = "reproduced" if line["id"] in REPRODUCED else "differs"
        line["reason"] = f"it holds; {UNTRAINED}" if line["id"] == "eq22-small" else ""
    layout.claims("json").write_text(json.dumps(ledger))
    evidence = (layout, tmp_path / "evidence.md")
    write_pages(load_results(tmp_path / "paper"), tmp_path / "results.md", readme, False, evidence)
    said = " ".join(readme.read_text().split())
    assert "2 hold by algebra for any network. 1 more holds for untrained networks too" in said


def test_pages_say_what_was_not_run_and_follow_the_results(copy: Layout, tmp_path: Path) -> None:
    page, readme = tmp_path / "docs" / "results.md", tmp_path / "README.md"
    page.parent.mkdir()
    readme.write_text(f"# Mine\n{BEGIN}\nbefore\n{END}\nafter\n")
    results = load_results(copy.root)
    assert write_pages(results, page, readme, check=True) == [page, readme]
    assert not page.exists()
    assert write_pages(results, page, readme) == [page, readme]
    assert write_pages(results, page, readme) == []
    text = readme.read_text()
    assert text.startswith(f"# Mine\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "\nbefore\n" not in text
    shown = page.read_text()
    for verdict in Verdict:
        assert f"**{verdict}** {shown.count(f'| **{verdict}**')}" in shown
    for name in results.tier.figures:
        assert f"### Figure {int(name[3:])}:" in shown
    # As forges make it from the heading "Figure 4: Three methods: bound during training, samples".
    assert "docs/results.md#figure-4-three-methods-bound-during-training-samples)" in text
    claims = copy.claims("json")
    claims.write_text(
        claims.read_text().replace('"verdict": "inconclusive"', '"verdict": "differs"', 1)
    )
    assert write_pages(results, page, readme, check=True) == [page, readme]


def test_a_readme_without_marks_is_refused(copy: Layout, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n")
    with pytest.raises(UserError, match="lacks the lines"):
        write_pages(load_results(copy.root), tmp_path / "results.md", readme)

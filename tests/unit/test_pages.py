"""The two pages of a tier: what both show, and that text of any kind shows as it is."""

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from tests.tiers import PAPER_VALUES
from vaebench.page.assemble import write_page
from vaebench.paths import Layout
from vaebench.plain_text import escape
from vaebench.reporting.content import content_of
from vaebench.reporting.published import BEGIN, END, write_pages
from vaebench.reporting.tables import write_tables
from vaebench.reporting.text import attested_counts
from vaebench.results.read import Results, load_results

NASTY = "p(x|z) *is* <b>a</b> & `b` at $5, [c](d) ~ _e_ of data_scale"


class Text(HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.add(tag)


def both_pages(layout: Layout, folder: Path) -> tuple[str, str]:
    """index.html of the tier, and the page of results."""
    readme = folder / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    write_pages(load_results(layout.root), folder / "results.md", readme)
    page = write_page(load_results(layout.root))
    return page.read_text(), (folder / "results.md").read_text()


def attest(layout: Layout, levels: dict[str, str]) -> Results:
    """Let runs rest on an attestation, by the folders of these runs."""
    rows = load_results(layout.root).runs
    rows["attested"] = rows["folder"].map(levels)
    rows.to_parquet(layout.runs, index=False)
    return load_results(layout.root)


def test_both_pages_show_the_same_claims_and_counts(layout: Layout, tmp_path: Path) -> None:
    html, markdown = both_pages(layout, tmp_path)
    content = content_of(load_results(layout.root))
    ledger = json.loads(layout.claims("json").read_text())
    borne = [line["verdict"] for line in ledger["claims"] if line["bears"]]
    assert {k: n for k, n in content.counts.items() if n} == Counter(borne)
    assert len(content.claims) == len(borne) < sum(ledger["verdicts"].values())
    # The tier has `learned` and `bilbo` at n = 2; not Fig. 8, faces or MNIST.
    assert {line.id for line in content.claims} == {
        *("fig02-comparable", "fig03-u-shape", "fig03-other-dimension", "fig05-bilbo"),
        *("fig03-other-dimension-parabola", "eq4-trace", "eq4-dimensions"),
        *("fig04a-bilbo", "fig04a-bilbo-lag", "section43-no-detriment-bilbo"),
        *("beside-fig04a-bilbo-training", "beside-fig04a-bilbo-gap", "abstract-half-outputs"),
        *(f"fig04c-bilbo-{k}low" for k in ("", "fid-", "density-", "coverage-")),
    }
    others = f"{len(ledger['claims']) - len(borne)} other claims are about runs"
    assert others in html
    assert others in markdown
    for verdict, count in content.counts.items():
        assert (f"{count} {verdict}" in html) == (count > 0)
        assert f"**{verdict}** {count}" in markdown
    shown = Text()
    shown.feed(html)
    for figure in content.figures:
        assert figure.caption in shown.text
        assert escape(figure.caption) in markdown
    (experiment,) = content.experiments
    assert (experiment.runs, experiment.planned) == (4, 4)
    assert experiment.table in markdown
    assert "attestation" not in html + markdown
    assert "attested" not in experiment.table + layout.table(experiment.name, "csv").read_text()


def test_both_pages_say_how_many_runs_rest_on_an_attestation(
    layout: Layout, tmp_path: Path
) -> None:
    folders = [f"objective~{o}/latent_dim~2/seed~{s}" for o in ("learned", "bilbo") for s in (0, 1)]
    levels = dict(zip(folders, ["bits", "bits", "rounding"], strict=False))
    results = attest(layout, levels)
    write_tables(results, "posterior_variance", PAPER_VALUES)
    for page in both_pages(layout, tmp_path):
        assert "2 runs rest on an attestation (bits)" in page
        assert "1 run rests on an attestation (rounding)" in page
        assert "the same numbers up to rounding" in page
    csv, markdown = (layout.table("posterior_variance", e).read_text() for e in ("csv", "md"))
    heading, learned, bilbo = csv.splitlines()
    place = heading.split(",").index("attested")
    assert [learned.split(",")[place], bilbo.split(",")[place]] == ["2 bits", "1 rounding"]
    assert [line.split("|")[-2].strip() for line in markdown.splitlines()[:4]][::2] == [
        "attested",
        "2 bits",
    ]
    # A run that is in two experiments is one run.
    again = results.runs.assign(experiment="another")
    assert attested_counts(pd.concat([results.runs, again])) == {"bits": 2, "rounding": 1}


def test_text_shows_as_it_is_on_both_pages(layout: Layout, tmp_path: Path) -> None:
    plain = Text()
    plain.feed(both_pages(layout, tmp_path)[0])
    ledger = json.loads(layout.claims("json").read_text())
    shown = next(line for line in ledger["claims"] if line["bears"])
    shown |= dict.fromkeys(("place", "says", "unit", "expects", "reason"), NASTY)
    layout.claims("json").write_text(json.dumps(ledger))
    layout.caption("fig05").write_text(NASTY)
    config = layout.config.read_text()
    layout.config.write_text(config.replace("description: ''", f"description: '{NASTY}'"))
    html, markdown = both_pages(layout, tmp_path)
    parsed = Text()
    parsed.feed(html)
    assert parsed.text.count(NASTY) == 5 + 1 + 1
    assert parsed.tags == plain.tags
    row = next(line for line in markdown.splitlines() if line.startswith(f"| {escape(NASTY)} |"))
    assert row.replace("\\|", "").count("|") == 10 + 1
    assert markdown.count(escape(NASTY)) == markdown.count("p(x\\|z)") > 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("*a* `b` [c] <d> ~e~ $f$ &amp; g\\h", r"\*a\* \`b\` \[c\] \<d\> \~e\~ \$f\$ \&amp; g\\h"),
        ("data_scale, _a_", r"data_scale, \_a\_"),
        ("one\ntwo", "one two"),
        ("- a", r"\- a"),
        ("12. a", r"12\. a"),
        ("## a", r"\## a"),
        ("-136.5 in 2.5 (Fig. 2)", "-136.5 in 2.5 (Fig. 2)"),
        ("", ""),
    ],
)
def test_text_is_escaped_for_markdown(text: str, shown: str) -> None:
    assert escape(text) == shown

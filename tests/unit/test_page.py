"""The page of a tier: its numbers and drawings, its copies, curves and codes, and its bytes."""

import base64
import csv
import io
import json
import re
import shutil
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import PROJECT
from vaebench.errors import UserError
from vaebench.page.answer import DIFFERENCE, Column, Row, Table, answer_tables, cell
from vaebench.page.assemble import write_page
from vaebench.page.claims import cards_of
from vaebench.page.codes import POINTS
from vaebench.page.copies import latex_escape, to_csv, to_latex, to_markdown
from vaebench.page.curves import curves_of, t_quantiles
from vaebench.page.drawing import Region, interval_drawing, region_of
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting import numbers
from vaebench.reporting.content import content_of
from vaebench.results.intervals import Estimate, estimate
from vaebench.results.read import load_results

MOST_BYTES = 3 * 1000**2
ENDS = st.floats(-1e4, 1e4, allow_nan=False)


@given(st.tuples(ENDS, ENDS).map(sorted), st.sampled_from([0.0, 1.0, -1.0, 0.316]))
def test_decimals_follow_the_width_and_never_contradict_the_verdict(
    ends: list[float], limit: float
) -> None:
    low, high = ends
    digits = numbers.decimals(low, high, (limit,))
    half = (high - low) / 2
    # The rounding is below a tenth of the interval's half, unless there are no more decimals.
    if half > 0 and digits < numbers.MOST:
        assert 0.5 * 10**-digits <= max(half / 2, 0.5)
        for end in ends:
            assert (round(end, digits) > limit) == (end > limit)
            assert (round(end, digits) < limit) == (end < limit)


@pytest.mark.parametrize(
    ("low", "high", "limits", "shown"),
    [
        (-139.37, -134.01, (-136.5,), "[−139.4, −134.0]"),
        (-0.365, 1.578, (0.0,), "[−0.4, 1.6]"),
        (0.4794, 0.5461, (0.0,), "[0.479, 0.546]"),
        (0.01, 1.32, (0.0,), "[0.01, 1.32]"),  # with one decimal, its end would be at the limit
        (0.0184, 0.1004, (0.1, -0.1), "[0.0184, 0.1004]"),
        (1200.0, 1900.0, (), "[1200, 1900]"),
    ],
)
def test_intervals_are_written_with_the_decimals_that_they_justify(
    low: float, high: float, limits: tuple[float, ...], shown: str
) -> None:
    assert numbers.interval(low, high, numbers.decimals(low, high, limits)) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(-0.001, 2, "0.00"), (-1.5, 1, "−1.5"), (None, 1, "–"), (inf, 1, "–"), (100.0, 0, "100")],
)
def test_numbers_have_a_minus_sign_and_no_negative_zero(
    value: float | None, digits: int, shown: str
) -> None:
    assert numbers.number(value, digits) == shown


@pytest.mark.parametrize(
    ("expects", "region"),
    [
        ("above 0", Region(0, None)),
        ("above -1", Region(-1, None)),
        ("below 0.316", Region(None, 0.316)),
        ("within ±0.41", Region(-0.41, 0.41)),
        ("exactly 0.5", Region(0.5, 0.5)),
        ("-136.5 in the prediction", Region(-136.5, -136.5)),
        ("above 1e-05", Region(1e-5, None)),
        ("something else", Region(None, None)),
    ],
)
def test_the_claimed_region_is_read_from_the_ledgers_words(expects: str, region: Region) -> None:
    assert region_of(expects) == region


def test_every_criterion_of_the_published_ledger_has_a_region() -> None:
    ledger = json.loads((PROJECT / PUBLISHED / "claims.json").read_text())["claims"]
    assert all(region_of(line["expects"]).limits for line in ledger)


def test_an_interval_is_drawn_on_its_side_of_the_limit() -> None:
    drawing = interval_drawing(2.0, 1.0, 3.0, Region(0.0, None), 'a "label" & <more>')
    limit = float(re.findall(r'class="limit" x1="([\d.]+)"', drawing)[0])
    left, right = re.findall(r'class="bar" x1="([\d.]+)" x2="([\d.]+)"', drawing)[0]
    centre = float(re.findall(r'cx="([\d.]+)"', drawing)[0])
    assert limit < float(left) < centre < float(right) < 220
    assert centre - float(left) == pytest.approx(float(right) - centre, abs=0.11)
    assert "&lt;more&gt;" in drawing
    assert interval_drawing(None, None, None, Region(0.0, None), "") == ""


def table(name: str, title: str = "test bound") -> Table:
    found = {"test_elbo": Estimate(3, -99.5, 0.5, -100.7, -98.3)}
    return Table(
        "mine", "", ["objective", "n"], [Column("test_elbo", title, "", True)],
        [Row([name, "2"], 3, 3, 0, False, found)], 0, True, "", None,
    )  # fmt: skip


def test_one_narrow_interval_does_not_lengthen_a_column() -> None:
    narrow, wide = (-2525.939270, 2.4e-5), (-28557.3033, 130694.7)
    column = Column(DIFFERENCE, "", "", True)
    rows = [
        Row([], 3, 3, 0, False, {DIFFERENCE: Estimate(3, mean, 1.0, mean - half, mean + half)})
        for mean, half in (narrow, wide, (-134.2, 1.0), (-130.0, 2.0), (0.016, 0.014))
    ]
    shown = [cell(replace(table(""), rows=rows), row, column) for row in rows]
    assert shown == [
        ("−2525.9", "[−2525.9, −2525.9]"),
        ("−28557.3", "[−159252.0, 102137.4]"),
        ("−134.2", "[−135.2, −133.2]"),
        ("−130.0", "[−132.0, −128.0]"),
        # Fewer decimals would round the lower end onto 0.
        ("0.016", "[0.002, 0.030]"),
    ]


NASTY = r"a_b & 50% #1 {x} $y$ \cmd ~ ^ <b>|*c*`d`[e]"


def test_copies_are_escaped_each_in_its_form() -> None:
    latex = to_latex(table(NASTY))
    line = latex.splitlines()[4]
    assert line == (
        r"a\_b \& 50\% \#1 \{x\} \$y\$ \textbackslash{}cmd \textasciitilde{} "
        r"\textasciicircum{} \textless{}b\textgreater{}\textbar{}*c*`d`[e] & $2$ & $3$ & "
        r"$-99.5$ $[-100.7, -98.3]$ \\"
    )
    markdown = to_markdown(table(NASTY)).splitlines()
    assert len(re.findall(r"(?<!\\)\|", markdown[2])) == 5
    assert r"\<b\>\|\*c\*\`d\`\[e\]" in markdown[2]
    rows = list(csv.reader(io.StringIO(to_csv(table(NASTY + '",\n')))))
    assert rows[1][0] == NASTY + '",\n'
    assert [float(x) for x in rows[1][-3:]] == [-99.5, -100.7, -98.3]


@given(st.text(max_size=40))
def test_no_special_character_of_latex_is_left(text: str) -> None:
    left = re.sub(r"\\(?:[&%$#_{}]|[a-z]+\{\})|\$(?:-|\\[a-z]+)\$", "", latex_escape(text))
    assert not re.search(r"[&%$#_{}~^\\<>|]", left)


def test_the_answer_has_the_numbers_of_the_runs(layout: Layout) -> None:
    results = load_results(layout.root)
    (found,) = answer_tables(results, [])
    assert [row.settings[0] for row in found.rows] == ["learned", "bilbo"]
    runs = results.runs.set_index(["objective", "seed"])
    for row in found.rows:
        own = runs.loc[row.settings[0]]
        assert row.estimates["test_elbo"] == estimate(own["test_elbo"].tolist())
        assert row.estimates["sample_kid"].mean == pytest.approx(own["sample_kid"].mean())
        minutes = (own["seconds"] / own["packed_runs"] / 60).mean()
        assert row.estimates["minutes"].mean == pytest.approx(minutes)
    learned, bilbo = found.rows
    assert learned.is_baseline
    assert "difference" not in learned.estimates
    bounds = runs["test_elbo"]
    difference = estimate((bounds["bilbo"] - bounds["learned"]).tolist())
    assert bilbo.estimates["difference"] == difference


def test_curves_are_what_was_recorded(layout: Layout) -> None:
    results = load_results(layout.root)
    (curves,) = curves_of(results)
    rows = results.history.to_dict("records")
    history = {(row["folder"], row["epoch"]): row for row in rows}
    assert len(curves["runs"]) == len(results.runs)
    for run in curves["runs"]:
        folder = f"objective~{run['group']}/latent_dim~2/seed~{run['seed']}"
        for k, place in enumerate(curves["places"]):
            point = history[folder, place]
            assert run["values"]["bound"][k] == pytest.approx(point["test_elbo"], abs=6e-4)
            gap = point["train_elbo"] - point["test_elbo"]
            assert run["values"]["gap"][k] == pytest.approx(gap, abs=6e-4)
    # 97.5% quantiles of Student's t with 1, 2 and 3 degrees of freedom, from a printed table.
    assert t_quantiles([curves]) == pytest.approx({2: 12.706, 3: 4.303, 4: 3.182}, abs=1e-3)


def codes(path: Path) -> dict[str, Any]:
    text = path.read_text()
    found = re.fullmatch(r'vaebenchCodes\("[\w-]+",(\{.*\})\);\n', text)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_the_files_of_codes_hold_the_codes_of_their_runs(layout: Layout) -> None:
    results = load_results(layout.root)
    stale = layout.codes / "another" / "seed~9.js"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    write_page(results)
    assert not stale.exists()
    for _, row in results.runs.iterrows():
        content = codes(layout.run_codes(row["experiment"], row["folder"]))
        arrays = results.arrays(row)
        steps = np.frombuffer(base64.b64decode(content["points"]), "<u2").reshape(-1, 2)
        found = np.array(content["low"]) + steps / 65535 * np.array(content["span"])
        np.testing.assert_allclose(found, arrays["posterior_mean"][:POINTS], atol=1e-3)
        labels = np.frombuffer(base64.b64decode(content["labels"]), np.uint8)
        np.testing.assert_array_equal(labels, arrays["labels"][:POINTS])
        assert len(content["across"]) == len(content["down"]) == 12
        assert content["across"] == sorted(content["across"])
        assert content["down"] == sorted(content["down"], reverse=True)


def test_equal_results_give_equal_bytes_wherever_they_lie(layout: Layout, tmp_path: Path) -> None:
    page = write_page(load_results(layout.root))
    other = tmp_path / "elsewhere" / "small"
    shutil.copytree(layout.root, other)
    again = write_page(load_results(other))
    assert again.read_bytes() == page.read_bytes()
    files = sorted(path.relative_to(layout.codes) for path in layout.codes.rglob("*.js"))
    assert len(files) == 4
    for file in files:
        assert (other / "codes" / file).read_bytes() == (layout.codes / file).read_bytes()
    text = page.read_text()
    for secret in (str(tmp_path), str(PROJECT), f"{Path.home()}/"):
        assert len(secret) < 4 or secret not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_text_of_a_user_shows_as_it_is(layout: Layout) -> None:
    plain = write_page(load_results(layout.root)).read_text()
    nasty = "</script><script>alert(1)</script> <!-- & \"quoted\" 'it'"
    config = layout.config.read_text()
    layout.config.write_text(config.replace("description: ''", f"description: {json.dumps(nasty)}"))
    ledger = json.loads(layout.claims("json").read_text())
    next(line for line in ledger["claims"] if line["bears"])["says"] = nasty
    layout.claims("json").write_text(json.dumps(ledger))
    page = write_page(load_results(layout.root)).read_text()
    assert "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert page.count("</script>") == plain.count("</script>")


def test_the_published_page_is_what_its_results_give(tmp_path: Path) -> None:
    kept = Layout(PROJECT / PUBLISHED)
    shutil.copytree(kept.root, tmp_path / "paper")
    copy = Layout(tmp_path / "paper")
    shutil.rmtree(copy.codes, ignore_errors=True)
    page = write_page(load_results(copy.root))
    assert page.read_bytes() == kept.report.read_bytes()
    assert page.stat().st_size <= MOST_BYTES
    for path in kept.codes.rglob("*.js"):
        assert (copy.codes / path.relative_to(kept.codes)).read_bytes() == path.read_bytes()


def test_published_bounds_tell_the_verdicts_apart() -> None:
    """Six claims about printed bounds once read the same, whatever their verdict was."""
    results = load_results(PROJECT / PUBLISHED)
    content = content_of(results)
    cards = {card.id: card for card in cards_of(content.claims, content.figures)}
    bound = {claim.id: claim for claim in content.claims}["fig02-bound-1"]
    assert bound.low is not None
    assert bound.high is not None
    assert cards["fig02-bound-1"].interval == f"[−{-bound.low:.1f}, −{-bound.high:.1f}]"
    assert cards["fig05-bound-bilbo"].value != cards["fig02-bound-1"].value
    assert cards["fig02-bound-1"].figures == ["fig02", "fig05"]
    for card in cards.values():
        if card.verdict == "reproduced":
            region = region_of(card.expects.replace("−", "-"))
            ends = [float(x.replace("−", "-")) for x in card.interval.strip("[]").split(", ") if x]
            assert all(region.low is None or end >= region.low for end in ends), card.id
            assert all(region.high is None or end <= region.high for end in ends), card.id


def test_what_the_page_needs_is_named_when_it_is_missing(layout: Layout) -> None:
    layout.figure("fig05", "png").unlink()
    with pytest.raises(UserError, match=r"fig05\.png is missing: `vaebench report --make`"):
        write_page(load_results(layout.root))


def decodes(content: bytes) -> bool:
    try:
        Image.open(io.BytesIO(content)).load()
    except Exception:
        return False
    return True


def test_a_figure_with_a_flipped_bit_is_refused(layout: Layout) -> None:
    """One that Pillow decodes, to other pixels."""
    path = layout.figure("fig05", "png")
    content = path.read_bytes()
    damaged = (
        content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for place in range(len(content) // 2, len(content))
    )
    path.write_bytes(next(filter(decodes, damaged)))
    with pytest.raises(UserError, match=r"fig05\.png is not a PNG image that can be read"):
        write_page(load_results(layout.root))

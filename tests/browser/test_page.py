"""The page of a tier in a browser: on a desk and on a phone, light, dark and on paper."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, opened
from vaebench.results.intervals import estimate

pytestmark = pytest.mark.browser
SERIOUS = ("serious", "critical")


def data_of(page: Page) -> Any:
    return json.loads(page.locator("#data").inner_text())


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def axe_finds(page: Page) -> list[str]:
    # The rows of runs are all alike, and axe looks at each cell for long.
    context = {"exclude": [["#run-table tbody tr:nth-child(n+6)"]]}
    options = {"resultTypes": ["violations"]}
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} ({len(v['nodes'])} times)"
        for v in found
        if v["impact"] in SERIOUS
    ]


def figures_beside(file: Path) -> list[Path]:
    """The images that a thin copy's page refers to. That of a whole tier needs none."""
    folder = file.parent / "figures"
    return [] if list(folder.glob("*.svg")) else sorted(folder.glob("*.png"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_alone_and_anyone_can_read_it(
    browser: Browser, file: Path, size: tuple[int, int], scheme: str
) -> None:
    with opened(browser, file, size, color_scheme=scheme) as shown:
        page = shown.page
        assert shown.complaints == []
        assert set(shown.requests) <= {path.as_uri() for path in figures_beside(file)}
        assert overflow(page) <= 0
        assert page.locator("#curve-plot svg").is_visible()
        if scheme == "light":
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            assert overflow(page) <= 0
        # What is folded is looked at once, since that takes a while.
        if (size, scheme) != (DESKTOP, "light"):
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = false; })")
        assert axe_finds(page) == []


def test_it_prints_whole(browser: Browser, file: Path) -> None:
    a4 = (700, 1000)  # 210 mm without margins of 12 mm
    with opened(browser, file, a4, color_scheme="dark") as shown:
        page = shown.page
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print", color_scheme="dark")
        assert overflow(page) <= 0
        assert not page.locator("nav.sections").is_visible()
        inside = "[...document.querySelectorAll('table.answer')].every(t => "
        inside += "t.getBoundingClientRect().right <= innerWidth)"
        assert page.evaluate(inside)
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        shown_claims = page.locator("#claims > .claims .claim")
        assert all(claim.is_visible() for claim in shown_claims.all())


def test_it_reads_without_its_script(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP, java_script_enabled=False) as shown:
        page = shown.page
        assert page.locator("table.answer").first.is_visible()
        assert page.locator("#claims > .claims .claim").last.is_visible()
        assert not page.locator("#curves").is_visible()
        assert not page.locator("#claim-search").is_visible()


def test_moved_without_its_codes_it_keeps_its_figures(
    browser: Browser, file: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "index.html"
    shutil.copy(file, alone)
    (tmp_path / "figures").mkdir()
    for path in figures_beside(file):
        shutil.copy(path, tmp_path / "figures")
    with opened(browser, alone, DESKTOP) as shown:
        page = shown.page
        loaded = "Promise.all([...document.querySelectorAll('#figures img')].map(async i => "
        loaded += "{ i.loading = 'eager'; await i.decode(); return i.naturalWidth; }))"
        widths = page.evaluate(loaded)
        assert len(widths) == page.locator("#figures figure").count() > 0
        assert min(widths) > 300
        page.locator(".enlarge").first.click()
        page.wait_for_function("document.querySelector('#zoomed img').naturalWidth > 300")
        page.keyboard.press("Escape")
        page.locator("#code-a .code-run").select_option(index=1)
        expect(page.locator("#code-a .code-status")).to_contain_text(
            "codes is not beside this page"
        )


def test_claims_are_filtered_searched_sorted_and_linked(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        ledger = json.loads((file.parent / "claims.json").read_text())["claims"]
        of_page = [line for line in ledger if line["bears"]]
        expect(page.locator("#claim-count")).to_have_text(f"{len(of_page)} claims")
        page.locator("#claim-controls .chip.inconclusive").click()
        wanted = {c["id"] for c in of_page if c["verdict"] == "inconclusive"}
        fitting = page.locator(".claim:not([hidden])")
        assert {claim.get_attribute("id") for claim in fitting.all()} == {
            f"claim-{i}" for i in wanted
        }
        assert (
            page.locator("#claim-controls .chip.inconclusive").get_attribute("aria-pressed")
            == "true"
        )
        page.locator("#claim-search").fill("fig. 4")
        assert 0 < fitting.count() < len(wanted)
        assert all("fig. 4" in (claim.text_content() or "").lower() for claim in fitting.all())
        page.locator("#claim-search").fill("")
        page.locator("#claim-controls .chip.inconclusive").click()
        page.locator("#claim-sort").select_option("rank")
        listed = page.locator("#claims > .claims").last.locator(".claim").all()
        ranks = [int(claim.get_attribute("data-rank") or 9) for claim in listed]
        assert ranks == sorted(ranks)
        # A permalink opens what is folded, filtered away or further down.
        hidden = next(c["id"] for c in of_page if c["verdict"] == "not run")
        page.locator("#claim-controls .chip.inconclusive").click()
        page.evaluate(f"location.hash = '#claim-{hidden}'")
        expect(page.locator(f"#claim-{hidden} .why dl")).to_be_visible()
        expect(page.locator(f"#claim-{hidden}")).to_be_in_viewport()
        for claim in page.locator(".claim .permalink").all()[:5]:
            assert page.locator(str(claim.get_attribute("href"))).count() == 1


def test_a_permalink_opens_the_page_at_its_claim(browser: Browser, file: Path) -> None:
    ledger = json.loads((file.parent / "claims.json").read_text())["claims"]
    last = [c["id"] for c in ledger if c["bears"] and c["verdict"] != "not run"][-1]
    with opened(browser, file, PHONE) as shown:
        page = shown.page
        page.goto(f"{file.as_uri()}#claim-{last}")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        expect(page.locator(f"#claim-{last} .why dl")).to_be_visible()
        expect(page.locator(f"#claim-{last}")).to_be_in_viewport()
        figure = page.locator(f"#claim-{last} .claim-text a:not(.permalink)")
        for link in figure.all()[:1]:
            link.click()
            expect(page.locator(str(link.get_attribute("href")))).to_be_in_viewport()


def test_the_answer_is_copied(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        place = page.locator(".copy").first
        experiment = place.get_attribute("data-experiment")
        for name in ("LaTeX", "Markdown", "CSV"):
            place.get_by_role("button", name=name).click()
            expect(page.locator("#toast")).to_have_text(f"{name} copied")
            text = page.evaluate("navigator.clipboard.readText()")
            assert text.strip() == data_of(page)["copies"][experiment][name].strip()
        page.locator(".copy button").first.click()
        latex = page.evaluate("navigator.clipboard.readText()")
        assert latex.startswith("\\begin{tabular}{l")
        rows = page.locator(f"details[id='{experiment}'] table.answer tbody tr").count()
        assert latex.count("\\\\\n") == rows + 1


@contextmanager
def redrawn(page: Page) -> Iterator[None]:
    """What is done in here draws the curves again; wait until they are drawn."""
    page.wait_for_function("document.querySelector('#curve-plot').view")
    page.evaluate("document.querySelector('#curve-plot').view.former = true")
    yield
    page.wait_for_function("!document.querySelector('#curve-plot').view.former")


def test_curves_follow_what_is_chosen(browser: Browser, file: Path) -> None:
    history = pd.read_parquet(file.parent / "history.parquet")
    runs = pd.read_parquet(file.parent / "runs.parquet")
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        for place, value in (("experiment", "posterior_variance"), ("n", "2")):
            with redrawn(page):
                page.locator(f"#curve-{place}").select_option(value)
        ours = runs[(runs["experiment"] == "posterior_variance") & (runs["latent_dim"] == 2)]
        assert page.locator("#curve-groups button").count() == ours["objective"].nunique()
        view = "document.querySelector('#curve-plot').view"
        rows = page.evaluate(f"{view}.data('band').map(row => Object.assign({{}}, row))")
        last = max(row["place"] for row in rows)
        for row in [row for row in rows if row["place"] == last]:
            folders = ours[ours["objective"] == row["group"]]["folder"]
            at = history[history["folder"].isin(folders) & (history["epoch"] == last)]
            at = at[at["experiment"] == "posterior_variance"]
            expected = estimate(at["test_elbo"].tolist())
            assert row["value"] == pytest.approx(expected.mean, abs=2e-3)
            assert row["low"] == pytest.approx(expected.low, abs=5e-3)
            assert row["high"] == pytest.approx(expected.high, abs=5e-3)
        point = page.locator("#curve-plot .mark-symbol path").last
        point.scroll_into_view_if_needed()
        point.hover(force=True)
        told = page.locator("#vg-tooltip-element")
        expect(told).to_contain_text(f"epoch{last}")
        assert "undefined" not in told.inner_text()
        # The first epochs lie below what is drawn, unless they are asked for.
        first = min(row["value"] for row in rows)
        settled = page.evaluate(f"{view}.scale('y').domain()")
        with redrawn(page):
            page.locator("#curve-range").select_option("all")
        whole = page.evaluate(f"{view}.scale('y').domain()")
        assert whole[0] <= first
        assert settled[0] > whole[0]
        with redrawn(page):
            page.locator("#curve-mode").select_option("seeds")
        lines = page.evaluate(f"{view}.data('lines').map(row => row.group + row.seed)")
        assert len(set(lines)) == len(ours)
        with redrawn(page):
            page.locator("#curve-groups button").first.click()
        fewer = page.evaluate(f"{view}.data('lines').map(row => row.group + row.seed)")
        assert len(set(fewer)) < len(set(lines))
        for metric in ("rate", "distortion", "gap"):
            page.locator("#curve-metric").select_option(metric)
        expect(page.locator("#curve-caption")).to_contain_text("training minus test bound")
        assert shown.complaints == []


def test_codes_are_loaded_when_they_are_asked_for(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        coded = next(run for run in data_of(page)["codes"] if run["codes"])
        panel = page.locator("#code-a")
        panel.locator(".code-experiment").select_option(coded["experiment"])
        panel.locator(".code-run").select_option(coded["key"])
        canvas = panel.locator(".plot canvas")
        expect(canvas).to_be_visible()
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        drawn = """(() => {
            const shown = document.querySelector('#code-a .under canvas')
            const {width, height} = shown
            const blank = Object.assign(document.createElement('canvas'), {width, height})
            return shown.toDataURL() !== blank.toDataURL()
        })()"""
        # The canvas may be there before it listens, and the images after it does.
        for shift in range(50):
            page.mouse.move(box["x"] + box["width"] / 2 + shift % 5, box["y"] + box["height"] / 2)
            page.wait_for_timeout(200)
            if page.evaluate(drawn):
                break
        expect(panel.locator(".code-at")).to_contain_text(re.compile(r"z = \(.*decoder’s image"))
        assert page.evaluate(drawn)
        assert panel.locator(".code-sheets img").count() >= 1
        panel.locator(".code-labels button").first.click()
        expect(panel.locator(".code-labels button").first).to_have_attribute(
            "aria-pressed", "false"
        )
        assert shown.complaints == []
        assert axe_finds(page) == []


def under_the_cursor(page: Page, panel: str) -> str:
    """What the page says of the middle of a plot of codes."""
    canvas = page.locator(f"{panel} .plot canvas")
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    for shift in range(50):
        page.mouse.move(box["x"] + box["width"] / 2 + shift % 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(100)
        if shift % 2 == 0 and page.locator(f"{panel} .code-at").inner_text().startswith("z"):
            break
    return page.locator(f"{panel} .code-at").inner_text()


def test_the_run_that_was_chosen_last_is_shown(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        first, last, *_ = [
            run for run in data_of(page)["codes"]
            if run["codes"] and run["experiment"] == data_of(page)["codes"][0]["experiment"]
        ]  # fmt: skip
        for panel, *choices in (
            # The last one's file is there by then, so that the first one's comes after it.
            ("#code-a", [last["key"]], [first["key"], last["key"]]),
            ("#code-b", [last["key"]]),
        ):
            page.locator(f"{panel} .code-experiment").select_option(first["experiment"])
            for keys in choices:
                page.evaluate(
                    """([panel, keys]) => {
                        const run = document.querySelector(`${panel} .code-run`)
                        for (const key of keys) {
                            run.value = key
                            run.dispatchEvent(new Event('change'))
                        }
                    }""",
                    [panel, keys],
                )
                page.wait_for_timeout(1000)
        assert under_the_cursor(page, "#code-a") == under_the_cursor(page, "#code-b") != ""
        assert shown.complaints == []


def test_an_address_that_is_not_well_formed_does_no_harm(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        page.goto(f"{file.as_uri()}#100%")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert shown.complaints == []


def test_figures_open_in_a_dialog_and_say_what_they_were_made_from(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        figure = page.locator("#fig05")
        figure.locator(".enlarge").press("Enter")
        dialog = page.locator("#zoomed")
        expect(dialog).to_be_visible()
        # Without the sharp drawing beside the page, it is the page's own picture.
        sharp = file.parent / "figures" / "fig05.svg"
        own = figure.locator("img").get_attribute("src")
        large = "figures/fig05.svg" if sharp.exists() else own
        assert str(dialog.locator("img").get_attribute("src")).endswith(str(large))
        assert axe_finds(page) == []
        page.keyboard.press("Escape")
        expect(dialog).not_to_be_visible()
        expect(figure.locator(".enlarge")).to_be_focused()
        figure.locator(".made-from summary").click()
        told = figure.locator(".explained").inner_text()
        for word in ("sources", "data", "commit", "device", "software"):
            assert re.search(rf"^{word} +\S", told, re.MULTILINE)
        for link in figure.get_by_role("link", name=re.compile("SVG|PNG")).all():
            assert (file.parent / str(link.get_attribute("href"))).exists()
        link = figure.locator(".made-from a").first
        link.click()
        expect(page.locator(f"[id='{str(link.get_attribute('href'))[1:]}']")).to_be_in_viewport()


def test_runs_are_sorted_and_searched(browser: Browser, file: Path) -> None:
    with opened(browser, file, DESKTOP) as shown:
        page = shown.page
        table = page.locator("#run-table")
        table.get_by_role("button", name="seconds").click()
        texts = table.locator("tbody tr td:nth-child(9)").all_inner_texts()
        assert [int(text) for text in texts] == sorted(int(text) for text in texts)
        assert table.locator("th[aria-sort=ascending]").inner_text().startswith("seconds")
        page.locator("#run-search").fill("bilbo")
        shown_rows = table.locator("tbody tr:not([hidden])")
        assert 0 < shown_rows.count() < len(texts)
        command = shown_rows.first.locator("details.command")
        command.locator("summary").click()
        assert re.match(
            r"vaebench run --tier results/\w+/config\.yaml --experiment",
            command.locator("code").inner_text(),
        )

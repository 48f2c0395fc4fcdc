"""Debian's Chromium, and pages of tiers in it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import PROJECT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIERS = {
    "published": PROJECT / "results" / "published" / "paper",
    "smoke": PROJECT / "results" / "smoke",
}
DESKTOP, PHONE = (1280, 900), (390, 844)


@dataclass
class Opened:
    """A page in the browser, and what it did beside showing itself."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings in its console."""
    requests: list[str] = field(default_factory=list)
    """What it asked for beside itself."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        # Only who asks for these tests runs them, so nothing is left out in silence.
        pytest.fail("no Chromium is found: `make test-page` installs Debian's, as root")
    with sync_playwright() as playwright:
        # The sandbox refuses to work for root, who opens nothing here but files of this project.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., Opened]


@contextmanager
def opened(browser: Browser, file: Path, size: tuple[int, int], **options: Any) -> Iterator[Opened]:
    """Open a file without a network, and wait until its script is done."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, offline=True, **options
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = Opened(context.new_page())
    page = shown.page
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            shown.complaints.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    page.on("request", lambda request: shown.requests.append(request.url))
    page.goto(file.as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_selector("html[data-ready]", timeout=60_000)
    shown.requests = [
        url
        for url in shown.requests
        if not url.startswith("data:") and url.partition("#")[0] != file.as_uri()
    ]
    yield shown
    context.close()


@pytest.fixture(scope="session", params=list(TIERS))
def file(request: pytest.FixtureRequest) -> Path:
    """The page of a real tier: the published one, and that of a smoke run."""
    path: Path = TIERS[request.param] / "index.html"
    if not path.exists():
        pytest.fail(f"{path.relative_to(PROJECT)} is missing: `make smoke` makes it")
    return path

"""Headless Chromium, and pages in it that may neither complain nor ask anybody else for anything."""

import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser.screenshots import VIEWPORTS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEADLINE_MILLISECONDS = 60_000  # other tests run on the same machine at the same time
LOCAL = ("127.0.0.1", "localhost", None)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("no Chromium on PATH: install Debian's package chromium, or name a browser by CHROMIUM=/path")
    expect.set_options(timeout=DEADLINE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens an address as one of VIEWPORTS, light or dark. At the test's end no page may have had a problem."""
    problems: list[str] = []

    def complained(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(f"console {message.type}: {message.text} ({message.location})")

    def asked(request: Request) -> None:
        if urlsplit(request.url).hostname not in LOCAL:
            problems.append(f"a request to another host: {request.url}")

    def opened(address: str, viewport: str = "desk", *, dark: bool = False) -> Page:
        width, height = VIEWPORTS[viewport]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            is_mobile=viewport == "phone",
            has_touch=viewport == "phone",
        )
        context.set_default_timeout(DEADLINE_MILLISECONDS)
        page = context.new_page()
        page.on("console", complained)
        page.on("pageerror", lambda error: problems.append(f"an error in the page: {error}"))
        page.on("request", asked)
        page.on("requestfailed", lambda request: problems.append(f"failed: {request.url} {request.failure}"))
        answer = page.goto(address)
        assert answer is None or answer.ok or address.startswith("file:"), f"{address} answered {answer.status}"
        return page

    yield opened
    for context in list(chromium.contexts):
        context.close()
    assert not problems, "\n".join(problems)

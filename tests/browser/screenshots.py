"""Pictures of the pages, kept for people to look at: CI keeps the folder as an artifact."""

from playwright.sync_api import Page

from scripts import paths

FOLDER = paths.BUILD / "test-artifacts" / "pages"
VIEWPORTS = {"desk": (1280, 900), "phone": (360, 740)}  # width and height in CSS pixels


def keep(page: Page, name: str, *, whole: bool = False) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


def assert_fits(page: Page) -> None:
    """Nothing makes the page wider than its window: wide parts scroll by themselves."""
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= page.viewport_size["width"], f"{page.url} is {widest} px wide"

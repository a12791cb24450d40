"""/docs of the front door in a real browser: each route of each contract is there, and its form works as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from scripts import build_lambdas, paths
from tests.browser.conftest import OpenPage
from tests.browser.screenshots import assert_fits, keep
from tests.end_to_end.checkout import Checkout

SYSTEMS = build_lambdas.systems()


def contract_of(system: str) -> dict[str, Any]:
    file: Path = paths.LAMBDA_SOURCE / system / "openapi.yaml"
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def operations(system: str) -> list[tuple[str, str]]:
    """Methods and paths in the contract's order, but what deletes comes last."""
    listed = [
        (method.upper(), path)
        for path, item in contract_of(system)["paths"].items()
        for method in item
        if method != "parameters"
    ]
    return sorted(listed, key=lambda one: one[0] == "DELETE")


def address(stack: Checkout, system: str = "") -> str:
    return f"http://127.0.0.1:{stack.api_port}/docs{f'?system={system}' if system else ''}"


def form_of(page: Page, method: str, path: str) -> Locator:
    exactly = page.locator(f'.opblock-summary-path[data-path="{path}"]')
    return page.locator(f".opblock-{method.lower()}", has=exactly)


def test_the_page_lists_every_route(running_stack: Checkout, open_page: OpenPage) -> None:
    page = open_page(address(running_stack))
    listed = [re.sub(r"\s+", " ", text.strip()) for text in page.locator("nav a.route").all_inner_texts()]
    assert sorted(listed) == sorted(f"{method} {path}" for system in SYSTEMS for method, path in operations(system))
    titles = page.locator("nav a.system").all_inner_texts()
    assert sorted(titles) == sorted(contract_of(system)["info"]["title"] for system in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_route_can_be_tried(running_stack: Checkout, open_page: OpenPage, system: str) -> None:
    page = open_page(address(running_stack, system))
    expect(page.locator(".opblock")).to_have_count(len(operations(system)))
    for method, path in operations(system):
        form = form_of(page, method, path)
        form.locator(".opblock-summary-control").click()
        form.get_by_role("button", name="Execute").click()
        answered = form.locator(".live-responses-table .response-col_status").last
        status = re.match(r"\d+", answered.inner_text().strip())
        documented = contract_of(system)["paths"][path][method.lower()]["responses"]
        assert status, f"{method} {path} was not sent"
        assert status[0].startswith("2"), f"{method} {path}: {form.locator('.live-responses-table').inner_text()}"
        assert status[0] in documented
        form.locator(".opblock-summary-control").click()  # a page with all forms open is slow


def test_a_route_in_the_list_opens_its_form(running_stack: Checkout, open_page: OpenPage) -> None:
    page = open_page(address(running_stack, "pet_store"))
    page.locator("nav a.route", has_text="POST /pets").click()
    form = form_of(page, "POST", "/pets")
    expect(form.get_by_role("button", name="Execute")).to_be_visible()
    expect(form.locator(".opblock-summary-path")).to_be_in_viewport()
    page.locator("nav a.route", has_text="POST /agents/register").click()
    expect(page).to_have_title(re.compile("^Agent registry"))
    expect(form_of(page, "POST", "/agents/register").get_by_role("button", name="Execute")).to_be_visible()


@pytest.mark.parametrize(("viewport", "dark"), [("desk", False), ("desk", True), ("phone", False), ("phone", True)])
def test_it_is_readable(running_stack: Checkout, open_page: OpenPage, viewport: str, dark: bool) -> None:
    page = open_page(address(running_stack, "agent_sessions"), viewport, dark=dark)
    form = form_of(page, "POST", "/agent/process")
    form.locator(".opblock-summary-control").click()
    expect(form.get_by_role("button", name="Execute")).to_be_visible()
    assert_fits(page)
    keep(page, f"api_page.{viewport}.{'dark' if dark else 'light'}", whole=True)

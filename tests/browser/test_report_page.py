"""The report in a real browser: of a history that is made up, hostile names in it, and of a stack that runs."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scripts import build_lambdas, report
from scripts.report import Alarm, Costs, Report, SystemCost, TableRow
from scripts.table_policy import POLICY, Cell
from tests.browser.conftest import OpenPage
from tests.browser.screenshots import assert_fits, assert_legible, keep
from tests.end_to_end.checkout import Checkout
from tests.glue.made_up_history import verification

LOOKS = [("desk", False), ("desk", True), ("phone", False), ("phone", True)]
HOSTILE = "\"><script>document.title='taken'</script><img src=//example.com/x>" + "long" * 40


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all there can be: releases, failures, odd tables, all states of alarms, gaps, hostile names."""
    spread = [(number * 37 % 100) / 20 for number in range(100)]
    runs = [
        verification(
            hour,
            str(1 + hour // 3),
            system="agent_registry" if hour % 2 else "pet_store",
            warm=[2 + hour / 8 + one for one in spread],
            cold=[110 - hour, 118, 140][: 1 + hour % 3],
            commit=f"{hour:02}deadbeef",
            failed="warm queries" if hour in (9, 39) else "",
            detail="over budget in 3 rounds",
        )
        for hour in range(40)
    ]
    runs[-1]["checks"].append(runs[-1]["checks"][0] | {"system": HOSTILE, "name": HOSTILE, "detail": HOSTILE})
    cells = {column: Cell(("meets", "short", "wrong", "nothing")[n % 4], "35 days") for n, column in enumerate(POLICY)}
    cells["as declared"] = Cell("wrong", "differs", (HOSTILE, "deletion_protection is False, declared True"))
    states = ("ALARM", "INSUFFICIENT_DATA", "MISSING", *["OK"] * 20)
    page = report.html(
        Report(
            environment="staging",
            region="eu-north-1",
            account_id="123456789012",
            made_at="2026-11-28T12:00:00Z",
            runs=runs,
            latencies=report.latencies(runs),
            costs=Costs(
                "What was used in the last 7d, as a month of it",
                "list prices of eu-north-1, 2026-11-01",
                ["reads", "writes", "provisioned", "storage", "Lambda", "API", "fixed"],
                [
                    SystemCost("agent_registry", {"reads": 3.1, "writes": 1.2, "Lambda": 0.9, "API": 1.0}, 1e6, 6.2),
                    SystemCost("pet_store", {"provisioned": 12.5, "storage": 0.001, "fixed": 4.2}, 0, None),
                    SystemCost(HOSTILE, {"fixed": 0.001}, 12, 83.0),
                ],
                [HOSTILE],
            ),
            tables=[
                TableRow("AgentRegistry", ["agent_registry"], cells, "wrong"),
                TableRow(HOSTILE, [], cells, "wrong"),
            ],
            alarms=[
                Alarm(f"alarm-{n}", state, "2026-11-28T11:00:00Z", HOSTILE, "what it means", f"table t{n % 4}")
                for n, state in enumerate(states)
            ],
            missing=[HOSTILE],
        )
    )
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page)
    return file


def open_all(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.mark.parametrize(("viewport", "dark"), LOOKS)
def test_it_is_readable(made_up: Path, open_page: OpenPage, viewport: str, dark: bool) -> None:
    page = open_page(made_up.as_uri(), viewport, dark=dark)
    expect(page.get_by_role("heading", level=1)).to_have_text("staging failed its last verification.")
    for heading in ("Verifications", "Latencies over releases", "Cost by system", "Tables against policy", "Alarms"):
        expect(page.get_by_role("heading", level=2, name=heading)).to_be_visible()
    keep(page, f"report.made_up.{viewport}.{'dark' if dark else 'light'}", whole=True)
    open_all(page)
    assert_fits(page)
    assert_legible(page)


def test_markup_in_names_is_text(made_up: Path, open_page: OpenPage) -> None:
    page = open_page(made_up.as_uri())
    expect(page).to_have_title("staging: FAILED")
    assert page.locator("script, img").count() == 0
    open_all(page)
    expect(page.get_by_text("<script>").first).to_be_visible()


def test_a_picture_shows_its_newest_release_and_has_its_figures(made_up: Path, open_page: OpenPage) -> None:
    page = open_page(made_up.as_uri(), "phone")
    picture = page.locator("figure.warm", has_text="v13").first
    picture.scroll_into_view_if_needed()
    expect(picture.locator("text.release").last).to_be_in_viewport()
    expect(picture.locator("text.release").first).not_to_be_in_viewport()
    expect(picture.get_by_role("img", name="Warm queries of")).to_have_count(1)
    picture.locator("summary").click()
    shown = picture.locator("text.release").count()
    expect(picture.locator("tbody tr")).to_have_count(shown)
    assert picture.locator("path.dots").count() == shown


def test_it_prints_whole_and_light(made_up: Path, open_page: OpenPage) -> None:
    page = open_page(made_up.as_uri(), dark=True)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert_legible(page)


def test_the_report_of_a_running_stack(running_stack: Checkout, open_page: OpenPage) -> None:
    said = running_stack.must("report")
    file = running_stack.folder / ".build" / "local" / "report.html"
    assert str(file.relative_to(running_stack.folder)) in said
    page = open_page(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("local passed its last verification.")
    systems = running_stack.client("lambda").list_functions()["Functions"]
    expect(page.locator("figure.warm")).to_have_count(len(systems))
    expect(page.locator("figure.cold")).to_have_count(len(systems))
    costs = [page.locator(f".costs tbody th:text-is('{system}')").count() for system in build_lambdas.systems()]
    assert costs == [1] * len(systems)
    tables = running_stack.client("dynamodb").list_tables()["TableNames"]
    listed = [name.split("\n")[0] for name in page.locator(".policy tbody th").all_inner_texts()]
    assert sorted(listed) == sorted(tables)
    assert page.locator(".policy td[data-column='as declared'] .mark.good").count() == len(tables)
    alarms = running_stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    expect(page.locator(".board li")).to_have_count(sum(len(found["MetricAlarms"]) for found in alarms))
    keep(page, "report.running_stack", whole=True)

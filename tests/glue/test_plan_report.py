"""What reviewers read of a plan."""

from typing import Any

import pytest

from scripts import plan, rendering
from scripts.plan_guard import Finding, Review

FINDING = Finding("public-route", 'this["GET /pets"]', "GET /pets asks callers for nothing", "Anybody can call it.")


def report(text: str = "Terraform will ...", **changed: Any) -> str:
    values: dict[str, Any] = {
        "environment": "dev",
        "account_id": "123456789012",
        "region": "eu-north-1",
        "changes": True,
        "counts": {"create": 1, "update": 2, "replace": 3, "delete": 4},
        "replaced": [],
        "notes": [],
        "review": Review([], []),
        "cost": "Fixed cost: 0.00 USD a month.",
        "digest": "ab12",
        "commit": "cd34",
        "dirty": False,
    }
    return rendering.render("plan.md.j2", **(values | changed), **plan._fenced(text))


def test_counts_cost_and_bundle_are_told() -> None:
    told = report()
    assert told.startswith("### dev\n")
    assert "**1 to create, 2 to update, 3 to replace, 4 to delete** in account 123456789012" in told
    assert "Bundle `ab12`, of commit cd34." in told
    assert "Fixed cost: 0.00 USD" in told
    assert "of commit cd34 with changes that are not committed" in report(dirty=True)


def test_no_changes_and_changes_of_outputs_alone_are_told_apart() -> None:
    nothing = {"create": 0, "update": 0, "replace": 0, "delete": 0}
    assert "**No changes** in account" in report(changes=False, counts=nothing)
    assert "(outputs only)" in report(counts=nothing)


def test_findings_are_told_with_what_lets_them_through() -> None:
    refused = report(review=Review([FINDING], []), digest=None)
    assert "**Refused by the guard**" in refused
    assert """`ALLOW='public-route:this["GET /pets"]'`""" in refused
    assert "Bundle" not in refused
    assert "Allowed by `ALLOW`" in report(review=Review([], [(FINDING, "ALLOW")]))


@pytest.mark.parametrize("text", ["```\nnot the end\n```", "x\n" * 60_000])
def test_a_plan_stays_within_its_fence_and_a_comment(text: str) -> None:
    told = report(text)
    fence = "````" if "```" in text else "```"
    assert told.count(f"\n{fence}\n") == 2
    assert len(told) < 65_536
    assert told.rstrip().endswith("</details>")

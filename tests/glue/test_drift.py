"""What a plan tells is sorted into what somebody must look at and what AWS does by itself."""

import copy
from typing import Any

import pytest

from scripts import drift
from scripts.drift import NOT_APPLIED, OUTSIDE, SENSITIVE, UNKNOWN, Drift, Finding

TABLE = {"name": "Agents", "stream_label": "a", "point_in_time_recovery": [{"enabled": True, "days": 35}], "tags": {}}


def change(before: Any, after: Any, *actions: str, **marks: Any) -> dict[str, Any]:
    return {
        "actions": list(actions or ["update"]),
        "before": before,
        "after": after,
        "before_sensitive": marks.get("before_sensitive", {}),
        "after_sensitive": marks.get("after_sensitive", {}),
        "after_unknown": marks.get("after_unknown", {}),
    } | {name: value for name, value in marks.items() if name == "importing"}


def plan(*changes: dict[str, Any], drifted: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Of one resource, `table`; `drifted` is how it was found to differ from the state."""
    return {
        "resource_changes": [{"address": "table", "mode": "managed", "change": one} for one in changes],
        "resource_drift": [{"address": "table", "change": drifted}] if drifted else [],
        **others,
    }


def table(**attributes: Any) -> dict[str, Any]:
    return copy.deepcopy(TABLE) | attributes


OTHER_DAYS = {"point_in_time_recovery": [{"enabled": True, "days": 6}]}
PATH = "point_in_time_recovery.days"


@pytest.mark.parametrize(
    ("planned", "found"),
    [
        (plan(change(TABLE, TABLE, "no-op")), []),
        (plan(change(None, TABLE, "read")), []),
        (
            plan(change(table(**OTHER_DAYS), TABLE), drifted=change(TABLE, table(**OTHER_DAYS))),
            [Finding("table", PATH, "35", "6", "35", OUTSIDE)],
        ),
        (plan(change(TABLE, table(**OTHER_DAYS))), [Finding("table", PATH, "35", "35", "6", NOT_APPLIED)]),
        (
            plan(change(None, TABLE, "create"), drifted=change(TABLE, None, "delete")),
            [Finding("table", "", "there", "(none)", "there", OUTSIDE)],
        ),
        (plan(change(None, TABLE, "create")), [Finding("table", "", "(none)", "(none)", "there", NOT_APPLIED)]),
        (plan(change(TABLE, None, "delete")), [Finding("table", "", "there", "there", "delete", NOT_APPLIED)]),
        (
            plan(change(TABLE, TABLE, "no-op", importing={"id": "Agents"})),
            [Finding("table", "", "there", "there", "in the state", NOT_APPLIED)],
        ),
        # Made anew: what AWS computes then is not of interest.
        (
            plan(
                change(
                    TABLE,
                    table(name="Others", stream_label=None),
                    "delete",
                    "create",
                    after_unknown={"stream_label": True},
                )
            ),
            [Finding("table", "name", "Agents", "Agents", "Others", NOT_APPLIED)],
        ),
        (
            plan(change(TABLE, table(stream_label=None), after_unknown={"stream_label": True})),
            [Finding("table", "stream_label", "a", "a", UNKNOWN, NOT_APPLIED)],
        ),
        (
            plan(change(table(tags={"a": "1"}, tags_all={"a": "1"}), table(tags={"a": "2"}, tags_all={"a": "2"}))),
            [Finding("table", "tags.a", "1", "1", "2", NOT_APPLIED)],
        ),
        (
            plan(output_changes={"api": {"actions": ["update"]}, "reply": {"actions": ["no-op"]}}),
            [Finding("output.api", "", "as before", "as before", "update", NOT_APPLIED)],
        ),
    ],
)
def test_what_a_plan_would_change_is_drift(planned: dict[str, Any], found: list[Finding]) -> None:
    assert drift.classify(planned, {}) == Drift(found, [])


def test_what_a_plan_leaves_alone_is_managed_by_aws() -> None:
    moved = table(stream_label="b", **OTHER_DAYS)
    found = drift.classify(plan(change(moved, table(stream_label="b")), drifted=change(TABLE, moved)), {})
    assert [finding.attribute for finding in found.findings] == [PATH]
    assert found.managed == [drift.Managed("table", "stream_label", "a", "b")]


def test_an_alias_that_a_rollback_moved_is_known() -> None:
    before, after = ({"function_name": "agents", "function_version": version} for version in ("2", "1"))
    moved = plan(change(after, after, "no-op"), drifted=change(before, after))
    assert drift.classify(moved, {"agents": "1"}) == Drift([], [])
    assert len(drift.classify(moved, {"others": "1"}).managed) == 1
    elsewhere = change(before, after | {"function_version": "7"})
    planned = plan(change(elsewhere["after"], after), drifted=elsewhere)
    (found,) = drift.classify(planned, {"agents": "1"}).findings
    assert found == Finding("table", "function_version", "2", "7", "1", OUTSIDE)


@pytest.mark.parametrize("marked", [True, {"secret": True}, {"secret": [True]}])
def test_what_is_sensitive_is_not_shown(marked: Any) -> None:
    planned = plan(
        change({"secret": ["hidden"]}, {"secret": ["other"]}, before_sensitive=marked, after_sensitive=marked)
    )
    (found,) = drift.classify(planned, {}).findings
    assert found[2:5] == (SENSITIVE, SENSITIVE, SENSITIVE)


def test_long_values_are_compared_whole_and_shown_short() -> None:
    start = "x" * 100
    (found,) = drift.classify(plan(change({"policy": f"{start}a"}, {"policy": f"{start}b"})), {}).findings
    assert found.actual == f"{'x' * 79}…"


def test_cells_of_the_report_hold_what_would_end_them() -> None:
    assert drift._cell("a|b`c") == "`a\\|b'c`"

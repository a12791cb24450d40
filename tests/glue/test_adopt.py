"""What is written of a table that exists: no more than what keeps the stack from changing it."""

from collections.abc import Callable
from typing import Any

import pytest

from scripts import adopt, existing_table
from scripts.adopt import Planned
from scripts.console import CommandError
from scripts.existing_table import TABLE, Existing

S_KEY = {"name": "PK", "type": "S"}
KEYS = {"hash_key": S_KEY, "range_key": None}
BY_USER = {
    "hash_key": {"name": "user", "type": "S"},
    "range_key": None,
    "projection_type": "ALL",
    "non_key_attributes": [],
    "read_capacity": None,
    "write_capacity": None,
    "autoscaling": {},
    "on_demand_throughput": None,
    "contributor_insights": False,
}
SETTINGS: dict[str, Any] = {
    "billing_mode": "PAY_PER_REQUEST",
    "read_capacity": None,
    "write_capacity": None,
    "autoscaling": {},
    "on_demand_throughput": None,
    "point_in_time_recovery_days": 35,
    "deletion_protection": True,
    "encryption": {"type": "AWS_OWNED"},
    "ttl": {"attribute": "ttl", "enabled": True},
    "stream_view_type": None,
    "table_class": "STANDARD",
    "tags": {"Project": "agents"},
    "contributor_insights": False,
    "resource_policy": None,
    "replicas": {},
    "indexes": {"by-user": BY_USER},
}
# The same as Terraform plans it.
PLANNED_TABLE: dict[str, Any] = {
    "name": "chat_sessions",
    "hash_key": "PK",
    "range_key": None,
    "attribute": [{"name": "PK", "type": "S"}, {"name": "user", "type": "S"}],
    "billing_mode": "PAY_PER_REQUEST",
    "read_capacity": 0,
    "write_capacity": 0,
    "on_demand_throughput": [],
    "point_in_time_recovery": [{"enabled": True, "recovery_period_in_days": 35}],
    "deletion_protection_enabled": True,
    "server_side_encryption": [{"enabled": False, "kms_key_arn": None}],
    "ttl": [{"attribute_name": "ttl", "enabled": True}],
    "stream_enabled": False,
    "stream_view_type": None,
    "table_class": "STANDARD",
    "tags": {"Project": "agents"},
    "replica": [],
    "global_secondary_index": [
        {
            "name": "by-user",
            "hash_key": "user",
            "range_key": None,
            "projection_type": "ALL",
            "non_key_attributes": None,
            "read_capacity": None,
            "write_capacity": None,
            "on_demand_throughput": [],
        }
    ],
}
KEY = "chat_sessions.sessions"


def _existing(name: str = "chat_sessions", keys: Any = KEYS, **settings: Any) -> Existing:
    return Existing(name, keys, SETTINGS | settings)


def _place(key: str = KEY, *, in_state: bool = False, **table: Any) -> Planned:
    values = PLANNED_TABLE | table
    return Planned(key, "module.chat_sessions_table[0]", values["name"], {TABLE: values}, in_state)


def _written(existing: Existing, place: Planned | None = None, **stated: Any) -> tuple[dict[Any, Any], list[str]]:
    adoption = adopt._adoption(existing, place or _place(), stated)
    return dict(adoption.changes), adoption.notes


def test_a_plan_in_the_words_of_the_variables() -> None:
    assert existing_table.planned_settings({TABLE: PLANNED_TABLE}) == SETTINGS
    assert existing_table.planned_keys({TABLE: PLANNED_TABLE}) == KEYS


def test_a_plan_of_scaled_and_encrypted_tables() -> None:
    scaled = PLANNED_TABLE | {
        "billing_mode": "PROVISIONED",
        "read_capacity": 3,
        "write_capacity": 2,
        "server_side_encryption": [{"enabled": True, "kms_key_arn": "arn:key"}],
        "replica": [{"region_name": "eu-north-1", "point_in_time_recovery": True, "propagate_tags": False}],
        "global_secondary_index": [
            PLANNED_TABLE["global_secondary_index"][0] | {"read_capacity": 1, "write_capacity": 1}
        ],
    }
    tracking = {"target_tracking_scaling_policy_configuration": [{"target_value": 60}]}
    planned = existing_table.planned_settings(
        {
            TABLE: scaled,
            'aws_appautoscaling_target.this["index by-user write"]': {"min_capacity": 1, "max_capacity": 8},
            'aws_appautoscaling_policy.this["index by-user write"]': tracking,
            'aws_dynamodb_contributor_insights.this["table"]': {},
            "aws_dynamodb_resource_policy.this[0]": {"policy": "{}"},
        }
    )
    assert planned["indexes"]["by-user"]["autoscaling"] == {"write": {"min": 1, "max": 8, "target_percent": 60}}
    assert planned["autoscaling"] == {}
    assert (planned["read_capacity"], planned["write_capacity"]) == (3, 2)
    assert planned["encryption"] == {"type": "CUSTOMER_MANAGED", "kms_key_arn": "arn:key"}
    assert planned["contributor_insights"] is True
    assert planned["resource_policy"] == "{}"
    assert planned["replicas"] == {
        "eu-north-1": {"point_in_time_recovery": True, "kms_key_arn": None, "propagate_tags": False}
    }


def test_a_table_like_the_stacks_own_only_needs_its_name() -> None:
    assert _written(_existing()) == ({("adopt_tables",): ["chat_sessions"]}, [])
    changes, _ = _written(_existing("old"), adopt_tables=["Pets"])
    assert changes == {("chat_sessions", "table_name"): "old", ("adopt_tables",): ["Pets", "old"]}
    changes, _ = _written(_existing("old"), table_name="chat_sessions")
    assert changes[("table_name",)] == "old"


def test_only_what_differs_is_written() -> None:
    changes, notes = _written(
        _existing(
            billing_mode="PROVISIONED",
            read_capacity=3,
            write_capacity=2,
            autoscaling={"read": {"min": 1, "max": 9, "target_percent": 60}},
            point_in_time_recovery_days=7,
            tags={"Owner": "ann"},
            contributor_insights=True,
            indexes={"by-user": BY_USER | {"read_capacity": 1, "write_capacity": 1}},
        )
    )
    table = ("tables", KEY)
    assert changes == {
        (*table, "billing_mode"): "PROVISIONED",
        (*table, "read_capacity"): 3,
        (*table, "write_capacity"): 2,
        (*table, "autoscaling"): {"read": {"min": 1, "max": 9, "target_percent": 60}},
        (*table, "point_in_time_recovery_days"): 7,
        (*table, "tags"): {"Owner": "ann"},
        (*table, "own_tags_only"): True,
        (*table, "contributor_insights"): True,
        (*table, "indexes"): {"by-user": {"read_capacity": 1, "write_capacity": 1}},
        ("adopt_tables",): ["chat_sessions"],
        ("adopt_table_parts", "chat_sessions", "autoscaling"): ["table read"],
        ("adopt_table_parts", "chat_sessions", "contributor_insights"): ["table"],
    }
    assert notes == []


def test_a_table_without_tags_keeps_none() -> None:
    changes, _ = _written(_existing(tags={}))
    assert changes[("tables", KEY, "own_tags_only")] is True


def test_indexes_that_are_missing_and_those_that_nobody_knows() -> None:
    more = BY_USER | {"hash_key": {"name": "kind", "type": "S"}, "projection_type": "KEYS_ONLY"}
    changes, notes = _written(_existing(indexes={"by-kind": more}))
    written = changes[("tables", KEY, "indexes")]
    assert written == {"by-kind": {"hash_key": {"name": "kind", "type": "S"}, "projection_type": "KEYS_ONLY"}}
    (note,) = notes
    assert "the plan adds index by-user, which chat_sessions.sessions needs" in note


def test_an_index_with_other_keys_is_refused() -> None:
    other = BY_USER | {"hash_key": {"name": "owner", "type": "S"}}
    with pytest.raises(
        CommandError, match=r"has the keys owner \(S\), chat_sessions.sessions needs user \(S\)"
    ) as error:
        _written(_existing(indexes={"by-user": other}))
    assert 'index_migrations = { "chat_sessions.sessions/by-user" = { name = "by-user-2" } }' in error.value.next_step


def test_an_index_that_holds_less_is_kept_and_told() -> None:
    changes, notes = _written(_existing(indexes={"by-user": BY_USER | {"projection_type": "KEYS_ONLY"}}))
    assert changes[("tables", KEY, "indexes")] == {"by-user": {"projection_type": "KEYS_ONLY"}}
    assert "make migrate-index INDEX=chat_sessions.sessions/by-user TO=by-user-2 PROJECTION=ALL" in notes[0]


@pytest.mark.parametrize(
    ("actual", "written", "said"),
    [
        (None, {"attribute": "ttl", "enabled": False}, "no item expires"),
        ({"attribute": "gone", "enabled": True}, {"attribute": "gone", "enabled": True}, "TTL goes by gone"),
    ],
)
def test_expiry_stays_as_it_is_and_is_told(actual: Any, written: Any, said: str) -> None:
    changes, notes = _written(_existing(ttl=actual))
    assert changes[("tables", KEY, "ttl")] == written
    assert notes[0].startswith(said)


def test_a_table_of_no_system_is_said_in_full() -> None:
    adoption = adopt._adoption(_existing("Orders", ttl=None, deletion_protection=False), None, {})
    written = {path[2]: value for path, value in adoption.changes.items() if path[0] == "extra_tables"}
    assert written == {
        "hash_key": S_KEY,
        "billing_mode": "PAY_PER_REQUEST",
        "point_in_time_recovery_days": 35,
        "deletion_protection": False,
        "encryption": {"type": "AWS_OWNED"},
        "table_class": "STANDARD",
        "tags": {"Project": "agents"},
        "indexes": {"by-user": {"hash_key": {"name": "user", "type": "S"}, "projection_type": "ALL"}},
        "own_tags_only": True,
    }


# --- which table it is ---------------------------------------------------------------------------------------------


def test_it_is_found_by_its_name() -> None:
    assert adopt._place(_existing(), "", [_place()], "dev") == _place()


def test_another_name_with_the_same_keys_must_be_said() -> None:
    with pytest.raises(CommandError, match=f"has the keys of {KEY}, but another name") as error:
        adopt._place(_existing("old"), "", [_place()], "dev")
    assert error.value.next_step == f"Say which it is: AS={KEY} or AS=extra."
    assert adopt._place(_existing("old"), KEY, [_place()], "dev") == _place()
    assert adopt._place(_existing("old"), "extra", [_place()], "dev") is None


def test_tables_that_only_the_stack_has_are_not_guessed() -> None:
    assert adopt._place(_existing("Orders"), "", [_place("idempotency.markers")], "dev") is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: adopt._place(_existing("old"), "pets", [_place()], "dev"), "the stack has no such table"),
        (lambda: adopt._place(_existing("old"), KEY, [_place(in_state=True)], "dev"), "would destroy that one"),
        (
            lambda: adopt._place(_existing(keys=KEYS | {"range_key": S_KEY}), "", [_place()], "dev"),
            r"has the keys PK \(S\), PK \(S\), but chat_sessions.sessions needs PK \(S\)\.",
        ),
    ],
)
def test_what_can_not_be_is_refused(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call()


# --- the proof -----------------------------------------------------------------------------------------------------

MODULE = "module.chat_sessions_table[0]"


def _change(address: str, *actions: str, imported: bool = True, **more: Any) -> dict[str, Any]:
    change = {"actions": list(actions), "before": {}, "after": {}, "after_unknown": {}} | more
    if imported:
        change["importing"] = {"id": "chat_sessions"}
    return {"address": f"{MODULE}.{address}", "mode": "managed", "change": change}


def _proof(*changes: dict[str, Any]) -> tuple[list[str], list[str]]:
    return adopt._of_module({"resource_changes": list(changes)}, MODULE)


def test_imports_without_a_change_pass() -> None:
    target = 'aws_appautoscaling_target.this["table read"]'
    alarm = "aws_cloudwatch_metric_alarm.this"
    made, wrong = _proof(_change(TABLE, "no-op"), _change(target, "no-op"), _change(alarm, "create", imported=False))
    assert (made, wrong) == ([alarm], [])


def test_adding_what_the_system_needs_passes() -> None:
    indexes = [{"name": "by-kind", "range_key": None}, {"name": "by-user"}]
    read = {"name": "by-kind", "range_key": "", "read_capacity": 0}
    states = {"before": {"global_secondary_index": [read]}, "after": {"global_secondary_index": indexes}}
    assert _proof(_change(TABLE, "update", **states)) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        _change(TABLE, "create", imported=False),
        _change(TABLE, "no-op", imported=False),
        _change(TABLE, "delete", "create"),
        _change(TABLE, "update", before={"table_class": "STANDARD"}, after={"table_class": "OTHER"}),
        _change(
            TABLE, "update", before={"global_secondary_index": [{"name": "a"}]}, after={"global_secondary_index": []}
        ),
        _change('aws_appautoscaling_target.this["table read"]', "update", before={"max": 1}, after={"max": 2}),
    ],
)
def test_any_other_change_is_told(change: dict[str, Any]) -> None:
    _, wrong = _proof(change)
    assert len(wrong) == 1
    assert wrong[0].startswith(change["address"])


# --- what can't be adopted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"TableStatus": "CREATING"}, "table Orders is CREATING"),
        ({"LocalSecondaryIndexes": [{"IndexName": "by-date"}]}, r"has local secondary indexes \(by-date\)"),
        (
            {"GlobalSecondaryIndexes": [{"IndexName": "new", "IndexStatus": "CREATING"}]},
            "index new of table Orders is being made or removed",
        ),
    ],
)
def test_tables_that_can_not_be_adopted(described: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        existing_table._refuse({"TableName": "Orders", "TableStatus": "ACTIVE"} | described)

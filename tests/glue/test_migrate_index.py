"""Where an index migration is, and what its plans may hold: told from what is applied alone."""

import json
from typing import Any

import pytest

from scripts import migrate_index
from scripts.console import CommandError
from scripts.index_migrations import (
    Applied,
    Migration,
    applied_stage,
    declared,
    foreign_changes,
    stages_to_go,
)

KEY = "pet_store.pets/by-type"
FIRST = Migration(KEY, {"name": "by-type-2", "range_key": {"name": "price", "type": "N"}})
OLD, NEW = "by-type", "by-type-2"
OTHER = {"by-colour": "ACTIVE"}


def _applied(indexes: dict[str, str], *read: str) -> Applied:
    return Applied("Pets", OTHER | indexes, frozenset(read))


# Every combination of what the table has and what the function reads.
@pytest.mark.parametrize(
    ("indexes", "read", "stage", "to_go"),
    [
        ({OLD: "ACTIVE"}, [OLD], None, ("add", "read", "done")),
        ({OLD: "ACTIVE"}, [], None, ("add", "read", "done")),
        ({OLD: "ACTIVE", NEW: "CREATING"}, [OLD], "add", ("add", "read", "done")),
        ({OLD: "ACTIVE", NEW: "ACTIVE"}, [OLD], "add", ("add", "read", "done")),
        # A version that takes a share of the calls still reads the old one.
        ({OLD: "ACTIVE", NEW: "ACTIVE"}, [OLD, NEW], "add", ("add", "read", "done")),
        ({OLD: "ACTIVE", NEW: "ACTIVE"}, [NEW], "read", ("read", "done")),
        ({OLD: "ACTIVE", NEW: "UPDATING"}, [NEW], "read", ("read", "done")),
        # No function reads it: others do.
        ({OLD: "ACTIVE", NEW: "ACTIVE"}, [], "read", ("read", "done")),
        ({NEW: "ACTIVE"}, [NEW], "done", ("done",)),
        ({NEW: "ACTIVE"}, [], "done", ("done",)),
        # Dropped by hand under the function: the last stage lets it read the new one.
        ({NEW: "ACTIVE"}, [OLD], "done", ("done",)),
        # A table without either: the next apply makes the new one at once.
        ({}, [OLD], "done", ("done",)),
    ],
)
def test_where_it_is(indexes: dict[str, str], read: list[str], stage: str | None, to_go: tuple[str, ...]) -> None:
    applied = _applied(indexes, *read)
    assert applied_stage(FIRST, applied) == stage
    assert stages_to_go(FIRST, applied) == to_go


def test_one_that_has_not_begun_is_not_declared_while_another_goes_on() -> None:
    other = Migration("pet_store.pets/by-colour", {"name": "by-colour-2"})
    value = declared([FIRST, other], {FIRST.key: "add", other.key: None})
    assert value == {KEY: {"name": NEW, "range_key": {"name": "price", "type": "N"}, "stage": "add"}}


def test_one_after_another_begins_where_the_earlier_one_ended() -> None:
    left = {"name": NEW, "range_key": {"name": "price", "type": "N"}}
    second = Migration(KEY, {"name": "by-type-3", "from": left})
    assert (second.old, second.new) == (NEW, "by-type-3")
    assert applied_stage(second, _applied({NEW: "ACTIVE"}, NEW)) is None
    # Without an entry the system's own definition would come back.
    assert declared([second], {KEY: None}) == {KEY: {**left, "stage": "done"}}
    assert declared([second], {KEY: "read"}) == {KEY: {"name": "by-type-3", "from": left, "stage": "read"}}


# --- what a plan may hold ------------------------------------------------------------------------------------------


def _change(address: str, before: Any, after: Any, *actions: str, unknown: Any = None) -> dict[str, Any]:
    return {
        "address": address,
        "mode": "managed",
        "type": address.split(".")[-2],
        "change": {"actions": list(actions), "before": before, "after": after, "after_unknown": unknown or {}},
    }


def test_what_is_not_set_is_no_change() -> None:
    """A state that was read from AWS has "" and 0 where a plan has null."""
    read = COLOUR | {"range_key": "", "read_capacity": 0, "non_key_attributes": []}
    before = _table(_index(OLD), _index(NEW)) | {"global_secondary_index": [read, _index(OLD), _index(NEW)]}
    assert not _foreign(_change(TABLE, before, _table(_index(NEW)), "update"))


def _index(name: str, range_key: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "hash_key": "type", "range_key": range_key, "read_capacity": None, **more}


def _foreign(*changes: dict[str, Any]) -> list[str]:
    return foreign_changes({"resource_changes": list(changes)}, FIRST)


TABLE = "module.pet_store_table[0].aws_dynamodb_table.this"
ALARM = "module.pet_store_table[0].aws_cloudwatch_metric_alarm.this"
POLICY = "module.pet_store_function[0].aws_iam_role_policy.this"
FUNCTION = "module.pet_store_function[0].aws_lambda_function.this"
ALIAS = "module.pet_store_function[0].aws_lambda_alias.this"
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/Pets/index"
COLOUR = _index("by-colour")


def _table(*indexes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "Pets", "global_secondary_index": [COLOUR, *indexes], "ttl": [], **more}


def _policy(*resources: str, actions: Any = "dynamodb:Query") -> dict[str, Any]:
    table = {"Sid": "Pets", "Action": ["dynamodb:GetItem"], "Resource": "arn:aws:dynamodb:us-east-1:1:table/Pets"}
    listed = resources[0] if len(resources) == 1 else list(resources)
    statement = {"Sid": "ByType", "Action": actions, "Resource": listed}
    return {"name": "pets", "policy": json.dumps({"Statement": [table, statement]})}


def test_what_belongs_to_the_indexes_may_change() -> None:
    both = _table(_index(OLD), _index(NEW, "price"), attribute=[{"name": "price", "type": "N"}])
    old_alarm = {"alarm_name": f"Pets-{OLD}-read-throttles", "dimensions": {"GlobalSecondaryIndexName": OLD}}
    environment = [{"variables": {"TYPE_PRICE_INDEX_NAME": OLD, "SEED": "true"}}]
    reads_new = [{"variables": {"TYPE_PRICE_INDEX_NAME": NEW, "SEED": "true"}}]
    dashboard = [
        [["AWS/DynamoDB", "ReadThrottleEvents", "GlobalSecondaryIndexName", name] for name in names]
        for names in ([OLD], [OLD, NEW])
    ]
    assert not _foreign(
        _change(TABLE, _table(_index(OLD), attribute=[]), both, "update"),
        _change(f"{ALARM}", None, old_alarm, "create"),
        _change(f"{ALARM}", old_alarm, None, "delete"),
        _change(POLICY, _policy(f"{ARN}/{OLD}"), _policy(f"{ARN}/{OLD}", f"{ARN}/{NEW}"), "update"),
        _change(
            FUNCTION,
            {"environment": environment, "version": "4", "timeout": 3},
            {"environment": reads_new, "timeout": 3},
            "update",
            unknown={"version": True, "environment": [{"variables": {}}]},
        ),
        _change(ALIAS, {"function_version": "4"}, {"function_version": "5"}, "update"),
        _change(
            "aws_cloudwatch_dashboard.this",
            *({"dashboard_body": json.dumps({"metrics": metrics})} for metrics in dashboard),
            "update",
        ),
        _change("module.other.aws_iam_role.this", {"name": "x"}, {"name": "x"}, "no-op"),
    )


@pytest.mark.parametrize(
    "change",
    [
        # another index, another setting of the table, the table itself
        _change(TABLE, _table(_index(OLD)), {**_table(_index(OLD)), "global_secondary_index": [_index(OLD)]}, "update"),
        _change(TABLE, _table(_index(OLD)), _table(_index(OLD), ttl=[{"attribute_name": "x"}]), "update"),
        _change(TABLE, _table(_index(OLD)), None, "delete"),
        _change(TABLE, _table(_index(OLD)), _table(_index(NEW)), "delete", "create"),
        _change(TABLE, None, _table(_index(NEW)), "create"),
        # a function's code or setting
        _change(FUNCTION, {"source_code_hash": "a"}, {"source_code_hash": "b"}, "update"),
        _change(
            FUNCTION,
            {"environment": [{"variables": {"INDEX_NAME": OLD, "SEED": "true"}}]},
            {"environment": [{"variables": {"INDEX_NAME": NEW, "SEED": "false"}}]},
            "update",
        ),
        # other rights, another alarm, something imported
        _change(POLICY, _policy(f"{ARN}/{OLD}"), _policy(f"{ARN}/{OLD}", f"{ARN}/by-colour"), "update"),
        _change(ALARM, None, {"alarm_name": "Pets-by-colour-read-throttles"}, "create"),
    ],
)
def test_anything_else_is_told(change: dict[str, Any]) -> None:
    (told,) = _foreign(change)
    assert told.startswith(f"{change['address']} (")


def test_a_longer_name_is_another_index() -> None:
    for name in ("by-types", "by-type-20", "by-type-3"):
        change = _change(ALARM, None, {"dimensions": {"GlobalSecondaryIndexName": name}}, "create")
        assert _foreign(change) == [f"{ALARM} (create)"]


# --- what a person says --------------------------------------------------------------------------------------------


def test_keys_and_projections_as_arguments() -> None:
    assert migrate_index._range_key("price:N") == {"range_key": {"name": "price", "type": "N"}}
    assert migrate_index._range_key("") == {}
    assert migrate_index._projection("ALL") == {"projection_type": "ALL"}
    assert migrate_index._projection("INCLUDE:a,b") == {"projection_type": "INCLUDE", "non_key_attributes": ["a", "b"]}


@pytest.mark.parametrize("text", ["price", "price:X", ":N"])
def test_no_key(text: str) -> None:
    with pytest.raises(CommandError, match="is no key attribute"):
        migrate_index._range_key(text)


@pytest.mark.parametrize("text", ["SOME", "INCLUDE", "INCLUDE:", "ALL:a"])
def test_no_projection(text: str) -> None:
    with pytest.raises(CommandError, match="is none"):
        migrate_index._projection(text)

"""What a plan may change for a system to be switched to memory, and what is said of the loss."""

from typing import Any

import pytest

from scripts import rollback_to_memory

FUNCTION = "agent-state-dev-pet-store"


def change(kind: str, before: Any, after: Any, actions: list[str], **unknown: bool) -> dict[str, Any]:
    return {"type": kind, "change": {"actions": actions, "before": before, "after": after, "after_unknown": unknown}}


def function(persistence: str, *, name: str = FUNCTION, code: str = "one", seed: str = "true") -> dict[str, Any]:
    settings = {"PERSISTENCE": persistence, "SEED": seed}
    return {"function_name": name, "source_code_hash": code, "version": "1", "environment": [{"variables": settings}]}


def updated(after: dict[str, Any]) -> dict[str, Any]:
    return change("aws_lambda_function", function("dynamodb"), after, ["update"], version=True)


def alias(version: str) -> dict[str, Any]:
    return {"function_name": FUNCTION, "name": "live", "function_version": version}


@pytest.mark.parametrize(
    "planned",
    [
        updated(function("memory")),
        updated({**function("memory"), "layers": None, "kms_key_arn": ""}),
        change("aws_lambda_alias", alias("1"), alias("2"), ["update"]),
        change("aws_lambda_invocation", {"function_name": FUNCTION}, None, ["delete"]),
        change("aws_lambda_invocation", None, {"function_name": FUNCTION}, ["create"]),
    ],
)
def test_the_setting_and_what_follows_from_it_may_change(planned: dict[str, Any]) -> None:
    assert rollback_to_memory._switches(planned, FUNCTION)


@pytest.mark.parametrize(
    "planned",
    [
        updated(function("memory", code="two")),
        updated(function("memory", seed="false")),
        change("aws_lambda_function", function("dynamodb"), function("memory"), ["delete", "create"]),
        change("aws_lambda_function", function("dynamodb", name="other"), function("memory", name="other"), ["update"]),
        change("aws_lambda_alias", alias("1"), {**alias("2"), "name": "other"}, ["update"]),
        change("aws_lambda_alias", alias("1"), None, ["delete"]),
        change("aws_dynamodb_table", {"name": "PetStore"}, {"name": "PetStore", "ttl": []}, ["update"]),
    ],
)
def test_anything_else_is_foreign(planned: dict[str, Any]) -> None:
    assert not rollback_to_memory._switches(planned, FUNCTION)


def test_the_variable_names_only_systems_in_memory() -> None:
    both = {"pet_store": "memory", "chat_sessions": "memory"}
    assert rollback_to_memory._with({"chat_sessions": "memory"}, "pet_store", "memory") == both
    assert rollback_to_memory._with(both, "pet_store", "dynamodb") == {"chat_sessions": "memory"}
    assert rollback_to_memory._with({"pet_store": "memory"}, "pet_store", "dynamodb") is None
    assert rollback_to_memory._with({"pet_store": "dynamodb"}, "pet_store", "dynamodb") is None


@pytest.mark.parametrize("system", ["agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store"])
def test_each_system_says_what_it_loses(system: str) -> None:
    applied = {"tables": {"pets": {"name": "Renamed"}}}
    leaving = rollback_to_memory._losses(applied, system, "memory")
    assert rollback_to_memory._LOSES[system] in leaving
    assert any("Renamed" in loss for loss in leaving)
    assert any("is lost" in loss for loss in rollback_to_memory._losses(applied, system, "dynamodb"))

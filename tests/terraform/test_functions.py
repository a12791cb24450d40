"""What Terraform tells each function and lets it do, with every setting other than its default."""

import importlib
import json
import re
from typing import Any

import pytest

from scripts.simulation.load import CHANGED_TABLES, TABLES
from tests.terraform.running import REPOSITORY, Terraform, copy_code, drop_backend, empty_aws

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:reply-key-AbCdEf"
STACK = {
    "environment": "dev",
    "lambda_manifest": "tests/fixtures/manifest.json",
    "agent_registry": {"table_name": "registry-a", "capability_shards": {"write": 4, "read": 16}},
    "agent_profiles": {
        "profiles_table_name": "profiles-a",
        "conversations_table_name": "conversations-a",
        "match_table_name": "match-a",
        "match_shards": {"write": 4},
    },
    "agent_sessions": {
        "sessions_table_name": "sessions-a",
        "messages_table_name": "messages-a",
        "message_ttl_days": 7,
        "reply": {
            "backend": "http",
            "url": "https://agent.example.com/reply",
            "key_secret_arn": SECRET,
            "timeout_seconds": 3,
        },
        "tenant_shards": {"write": 8, "read": 16, "stage": "read"},
    },
    "pet_store": {"table_name": "pets-a", "seed": False, "id_block_size": 20},
    "chat_sessions": {
        "table_name": "overruled",
        "session_ttl_days": 10,
        "session_ttl_base": "last_accessed",
        "recency_granularity_seconds": 60,
        "deletion_shards": {"read": 4},
    },
    "table_name": "chats-a",
    "idempotency": {"table_name": "markers-a", "ttl_seconds": 3600},
    "token_claims": {"tenant": "org", "user": "email"},
    "persistence": {"agent_registry": "memory"},
    "enable_pitr": False,
    "function_defaults": {"log_level": "DEBUG"},
    "functions": {"pet_store": {"log_level": "ERROR"}},
    "alarms": {"enabled": False},
}
MARKERS = {"IDEMPOTENCY_TABLE_NAME": "markers-a", "IDEMPOTENCY_TTL_SECONDS": "3600"}
TOLD = {
    "agent_registry": {
        "PERSISTENCE": "memory",
        "LOG_LEVEL": "DEBUG",
        "AGENT_REGISTRY_TABLE_NAME": "registry-a",
        "CAPABILITY_INDEX_NAME": "CapabilityIndex",
        "CAPABILITY_SHARDS": "4",
        "CAPABILITY_SHARDS_READ": "16",
        **MARKERS,
    },
    "agent_profiles": {
        "PERSISTENCE": "dynamodb",
        "LOG_LEVEL": "DEBUG",
        "PROFILE_TABLE_NAME": "profiles-a",
        "CONVERSATION_TABLE_NAME": "conversations-a",
        "MATCH_TABLE_NAME": "match-a",
        "MATCH_SHARDS": "4",
        "MATCH_SHARDS_READ": "4",
        "JOB_INDEX_NAME": "job-index",
        "LOCATION_INDEX_NAME": "location-index",
        "AGENT_CONVERSATIONS_INDEX_NAME": "agent-conversations-index",
        **MARKERS,
    },
    "agent_sessions": {
        "PERSISTENCE": "dynamodb",
        "LOG_LEVEL": "DEBUG",
        "DYNAMODB_SESSIONS_TABLE": "sessions-a",
        "DYNAMODB_MESSAGES_TABLE": "messages-a",
        "TENANT_USER_INDEX_NAME": "TenantShardUserIndex",
        "TENANT_SHARDS": "8",
        "TENANT_SHARDS_READ": "16",
        "SESSION_TIMESTAMP_INDEX_NAME": "SessionTimestampIndex",
        "MESSAGE_TTL_DAYS": "7",
        "POINT_IN_TIME_RECOVERY_DAYS": "0",
        "REPLY_BACKEND": "http",
        "API_SERVER_URL": "https://agent.example.com/reply",
        "API_SERVER_KEY_SECRET_ARN": SECRET,
        "API_SERVER_TIMEOUT_SECONDS": "3",
        "TENANT_CLAIM": "org",
        "USER_CLAIM": "email",
    },
    "pet_store": {
        "PERSISTENCE": "dynamodb",
        "LOG_LEVEL": "ERROR",
        "PET_STORE_TABLE_NAME": "pets-a",
        "TYPE_PRICE_INDEX_NAME": "type-price-index",
        "ID_RANGE_INDEX_NAME": "id-range-index",
        "SEED": "false",
        "ID_BLOCK_SIZE": "20",
        **MARKERS,
    },
    "chat_sessions": {
        "PERSISTENCE": "dynamodb",
        "LOG_LEVEL": "DEBUG",
        "DYNAMODB_TABLE_NAME": "chats-a",
        "USER_SESSIONS_INDEX_NAME": "UserSessionsIndex",
        "SESSION_TTL_DAYS": "10",
        "SESSION_TTL_BASE": "last_accessed",
        "RECENCY_GRANULARITY_SECONDS": "60",
        "DELETION_SHARDS": "1",
        "DELETION_SHARDS_READ": "4",
        "USER_CLAIM": "email",
        **MARKERS,
    },
}
# By function: what it may do with a table or index, or with the secret. All write their own logs, too.
EVERYTHING_WITH_ITEMS = "BatchGetItem BatchWriteItem DeleteItem GetItem PutItem Query UpdateItem"
ALLOWED = {
    "agent_registry": {
        "table/registry-a": "BatchGetItem DeleteItem GetItem PutItem",
        "table/registry-a/index/CapabilityIndex": "Query",
        "table/markers-a": "GetItem PutItem",
    },
    "agent_profiles": {
        "table/profiles-a": "BatchGetItem GetItem PutItem Scan",
        "table/profiles-a/index/job-index": "Query",
        "table/profiles-a/index/location-index": "Query",
        "table/match-a": "DeleteItem PutItem Query",
        "table/conversations-a": "PutItem Query",
        "table/conversations-a/index/agent-conversations-index": "Query",
        "table/markers-a": "GetItem PutItem",
    },
    "agent_sessions": {
        "table/sessions-a": EVERYTHING_WITH_ITEMS,
        "table/sessions-a/index/TenantUserIndex": "Query",
        "table/sessions-a/index/TenantShardUserIndex": "Query",
        "table/messages-a": "BatchWriteItem GetItem PutItem",
        "table/messages-a/index/SessionTimestampIndex": "Query",
        "secret:reply-key-AbCdEf": "GetSecretValue",
    },
    "pet_store": {
        "table/pets-a": "BatchGetItem GetItem PutItem UpdateItem",
        "table/pets-a/index/type-price-index": "Query",
        "table/pets-a/index/id-range-index": "Query",
        "table/markers-a": "GetItem PutItem",
    },
    "chat_sessions": {
        "table/chats-a": EVERYTHING_WITH_ITEMS,
        "table/chats-a/index/UserSessionsIndex": "Query",
        "table/markers-a": "GetItem PutItem",
    },
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Resources to be made, by address."""
    root = copy_code(tmp_path_factory.mktemp("functions") / "checkout") / "terraform"
    drop_backend(root)
    (root / "test.auto.tfvars.json").write_text(json.dumps(STACK))
    with empty_aws() as environment:
        terraform = Terraform(root, root / ".terraform", environment)
        terraform.init()
        with terraform.attached():
            terraform.run("plan", "-out=tfplan")
            changes = terraform.show("tfplan")["resource_changes"]
    return {change["address"]: change["change"]["after"] for change in changes if change["mode"] == "managed"}


@pytest.mark.parametrize("system", TOLD)
def test_each_setting_reaches_the_function(planned: dict[str, Any], system: str) -> None:
    assert _environment(planned, system) == TOLD[system]


@pytest.mark.parametrize("system", TOLD)
def test_the_function_asks_for_all_that_it_is_told_and_for_nothing_else(planned: dict[str, Any], system: str) -> None:
    asked, by_all = _names_in(system), _names_in("common")
    told = _environment(planned, system).keys()
    assert told - asked - by_all == set()
    # Lambda itself says the rest. The reply's key lies in one place or the other, and is a member of the secret there.
    elsewhere = {"API_SERVER_KEY_PARAMETER_NAME", "API_SERVER_KEY"}
    assert {name for name in asked - told if not name.startswith("AWS_")} <= elsewhere


@pytest.mark.parametrize("system", TOLD)
def test_the_function_starts_with_what_it_is_told(
    planned: dict[str, Any], system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _environment(planned, system)
    lambda_says = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in (told | lambda_says).items():
        monkeypatch.setenv(name, value)
    importlib.import_module(f"{system}.handler").build(told | lambda_says)


@pytest.mark.parametrize("system", ALLOWED)
def test_the_function_may_do_this_and_nothing_else(planned: dict[str, Any], system: str) -> None:
    policy = json.loads(planned[f"module.{system}_function[0].aws_iam_role_policy.this"]["policy"])
    allowed: dict[str, list[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            allowed.setdefault(resource.split(":", 5)[-1], []).extend(
                action.partition(":")[2] for action in statement["Action"]
            )
    logs = allowed.pop(f"log-group:/aws/lambda/agent-state-dev-{system.replace('_', '-')}:*")
    assert sorted(logs) == ["CreateLogStream", "PutLogEvents"]
    assert {place: " ".join(sorted(actions)) for place, actions in allowed.items()} == ALLOWED[system]


def test_recovery_is_off_for_every_table(planned: dict[str, Any]) -> None:
    tables = [values for address, values in planned.items() if address.endswith(".aws_dynamodb_table.this")]
    assert len(tables) == 9
    assert {table["point_in_time_recovery"][0]["enabled"] for table in tables} == {False}


def test_the_simulation_of_scale_knows_the_tables_and_their_indexes(planned: dict[str, Any]) -> None:
    """At stage `read` of the tenants' shards there are the indexes of both kinds."""
    made = {}
    for address, values in planned.items():
        if address.endswith(".aws_dynamodb_table.this"):
            keys = tuple(name for name in (values["hash_key"], values["range_key"]) if name)
            made[keys, frozenset(map(_index, values["global_secondary_index"]))] = values["name"]
    # by their keys and indexes, since the names here are others
    simulated = set()
    for name, table in TABLES.items():
        indexes = {*table.indexes, *(CHANGED_TABLES[name].indexes if name.startswith("ai-agent") else ())}
        simulated.add((tuple(table.key), frozenset((one.name, one.keys, one.attributes is None) for one in indexes)))
    assert simulated == set(made)


def _index(index: dict[str, Any]) -> tuple[str, tuple[str, ...], bool]:
    """Name, keys, and whether it holds all attributes."""
    keys = tuple(name for name in (index["hash_key"], index["range_key"]) if name)
    return index["name"], keys, index["projection_type"] == "ALL"


def test_erasing_has_as_much_time_as_the_api_waits(planned: dict[str, Any]) -> None:
    timeouts = {system: _function(planned, system)["timeout"] for system in TOLD}
    assert timeouts.pop("agent_sessions") == 29
    assert set(timeouts.values()) == {10}


def _names_in(package: str) -> set[str]:
    """Names of environment variables that the code mentions."""
    text = "".join(file.read_text() for file in (REPOSITORY / "lambda_src" / package).glob("*.py"))
    return set(re.findall(r'"(SEED|PERSISTENCE|[A-Z]+(?:_[A-Z]+)+)"', text))


def _function(planned: dict[str, Any], system: str) -> dict[str, Any]:
    function: dict[str, Any] = planned[f"module.{system}_function[0].aws_lambda_function.this"]
    return function


def _environment(planned: dict[str, Any], system: str) -> dict[str, str]:
    (environment,) = _function(planned, system)["environment"]
    variables: dict[str, str] = environment["variables"]
    return variables

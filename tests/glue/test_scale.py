"""docs/scale.md: its figures are the simulation's, its variables are the stack's, and its code works."""

import re
from typing import Any

import boto3
import pytest

from common.sharding import shard_of
from scripts import paths, scale
from scripts.simulation.load import ENOUGH, SYSTEMS, hottest, place_of, simulate
from scripts.simulation.partition_heat import Partition, Units
from tests.glue.deployed import Deployed

TEXT = scale.PAGE.read_text()


def test_the_page_is_what_the_simulation_gives_and_nothing_is_too_hot_with_the_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scale.main(check=True, as_json=True)
    assert "tenant-1" in capsys.readouterr().out


def test_another_figure_is_noticed() -> None:
    row = next(line for line in TEXT.splitlines() if "`tenant_shards` |" in line and "**" in line)
    page, _ = scale.written([], TEXT)
    assert row not in page


def test_what_is_simulated_is_the_same_each_time() -> None:
    def figures() -> list[Any]:
        return sorted(
            (place.label, load) for place, load in hottest("pet_store", simulate("pet_store", options=True)).items()
        )

    assert figures() == figures()


def test_each_partition_that_is_met_has_a_name() -> None:
    heat = simulate("pet_store", options=False)
    assert [partition for partition in heat if place_of("pet_store", partition) is None] == []


def test_what_few_calls_met_is_not_told_of() -> None:
    def units(calls: int) -> dict[str, Units]:
        found = Units()
        for call in range(calls):
            found.add(call + 1, 0, 1000)
        return {"a kind": found}

    heat = {Partition("AgentRegistry", "", "a"): units(ENOUGH), Partition("AgentRegistry", "", "b"): units(ENOUGH - 1)}
    (place,) = [one for one in SYSTEMS["agent_registry"].places if not one.index_name]
    assert hottest("agent_registry", heat)[place].key == "a"
    del heat[Partition("AgentRegistry", "", "a")]
    assert hottest("agent_registry", heat)[place].key == ""


def test_each_variable_is_the_stack_s() -> None:
    declared = (paths.ROOT / "terraform" / "variables.tf").read_text()
    for system in SYSTEMS.values():
        for place in system.places:
            assert not place.variable or re.search(rf"^ +{place.variable} += optional\(", declared, flags=re.MULTILINE)
            assert f"`{place.variable}`" in TEXT


def test_a_tenant_s_messages_are_merged_by_the_code_on_the_page(deployed: Deployed) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    defined: dict[str, Any] = {}
    exec(code, defined)  # noqa: S102 - the page's own code
    table = boto3.resource("dynamodb").create_table(
        TableName="messages-of-tenants",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("id", "tenantShard", "timestamp")
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "TenantShardTimestampIndex",
                "KeySchema": [
                    {"AttributeName": "tenantShard", "KeyType": "HASH"},
                    {"AttributeName": "timestamp", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    for number in range(12):
        shard = f"{shard_of(f'session-{number}', 3)}#{'t' if number % 4 else 'other'}"
        table.put_item(Item={"id": str(number), "tenantShard": shard, "timestamp": f"{number:02}"})
    found = [message["id"] for message in defined["messages_of_tenant"](table, "t", 3)]
    assert found == [str(number) for number in range(12) if number % 4]

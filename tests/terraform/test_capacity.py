"""Capacity of tables and indexes changes in place, back and forth, and an index is replaced without its neighbours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.dynamodb.models import DynamoDBBackend

from tests.terraform.running import REGION, REPOSITORY, Terraform

ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

provider "aws" {}

locals {
  on_demand   = { billing_mode = "PAY_PER_REQUEST" }
  provisioned = { billing_mode = "PROVISIONED", read_capacity = 10, write_capacity = 10 }
  autoscaled  = merge(local.provisioned, { autoscaling = { read = { max = 40 }, write = { max = 40 } } })
  fixed       = { read_capacity = 3, write_capacity = 4 }
  projection  = "ALL"
  capacity    = %s
}

module "table" {
  source   = "%s"
  for_each = local.capacity

  table = merge(each.value.table, {
    name                = each.key
    hash_key            = { name = "id", type = "S" }
    deletion_protection = false
    indexes = {
      ByCity = { hash_key = { name = "city", type = "S" } }
      ByJob  = merge(each.value.by_job, { hash_key = { name = "job", type = "S" }, projection_type = local.projection })
    }
  })

  alarms = { enabled = false }
}
"""

# Two tables go through the transitions at once; an index with `fixed` has its own capacity and no scaler.
WALK = [
    ("on_demand, {}", "autoscaled, {}"),
    ("provisioned, {}", "on_demand, {}"),
    ("autoscaled, {}", "autoscaled, {}"),
    ("provisioned, fixed", "autoscaled, fixed"),
    ("on_demand, {}", "provisioned, {}"),
]
NAMES = ("Agents", "Orders")
UNITS = {"on_demand": (0, 0), "provisioned": (10, 10), "autoscaled": (10, 10), "fixed": (3, 4)}
MOVED = (23, 31)
ITEM = {"id": {"S": "1"}, "job": {"S": "baker"}, "city": {"S": "Oslo"}}


@pytest.fixture
def index_changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every change of an index that UpdateTable is told, as (change, index)."""
    changes: list[tuple[str, str]] = []
    original = DynamoDBBackend.update_table_global_indexes

    def record(self: Any, table: Any, updates: list[dict[str, Any]]) -> None:
        changes.extend((kind, stated["IndexName"]) for update in updates for kind, stated in update.items())
        original(self, table, updates)

    monkeypatch.setattr(DynamoDBBackend, "update_table_global_indexes", record)
    return changes


@pytest.fixture
def terraform(tmp_path: Path, aws: dict[str, str]) -> Iterator[Terraform]:
    _write(tmp_path, WALK[0])
    opened = Terraform(tmp_path, tmp_path / ".terraform", aws)
    opened.init()
    with opened.attached():
        yield opened


def test_capacity_changes_in_place(
    terraform: Terraform, tmp_path: Path, aws: dict[str, str], index_changes: list[tuple[str, str]]
) -> None:
    dynamodb, scaling = (_client(aws, name) for name in ("dynamodb", "application-autoscaling"))
    created: dict[str, Any] = {}
    moved: set[str] = set()
    for step in WALK:
        _write(tmp_path, step)
        terraform.run("apply", "-auto-approve")
        for name, state in zip(NAMES, step, strict=True):
            described = dynamodb.describe_table(TableName=name)["Table"]
            if name not in created:
                created[name] = described["CreationDateTime"]
                dynamodb.put_item(TableName=name, Item=ITEM)
            assert (described["CreationDateTime"], dynamodb.scan(TableName=name)["Items"]) == (created[name], [ITEM])
            billing, by_job = state.replace("{}", state.split(",")[0]).split(", ")
            # What stays autoscaled keeps what the scaler made of it, until it is no longer.
            units = MOVED if billing == "autoscaled" and name in moved else UNITS[billing]
            assert _units(described) == {
                name: units,
                "ByCity": units,
                "ByJob": UNITS[by_job] if by_job == "fixed" else units,
            }, step
            targets = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
            scaled = {target["ResourceId"] for target in targets if target["ResourceId"].split("/")[1] == name}
            places = [f"table/{name}", f"table/{name}/index/ByCity", f"table/{name}/index/ByJob"]
            assert scaled == (set(places[: 2 + (by_job == "autoscaled")]) if billing == "autoscaled" else set())
            moved.discard(name)
            if billing == "autoscaled":
                moved.add(name)
                _scale(dynamodb, name, ["ByCity"] + ["ByJob"] * (by_job == "autoscaled"))
        terraform.run("plan", "-detailed-exitcode")
    assert {change for change, _ in index_changes} == {"Update"}


def test_an_index_is_replaced_without_its_neighbours(
    terraform: Terraform, tmp_path: Path, index_changes: list[tuple[str, str]]
) -> None:
    _write(tmp_path, ("on_demand, {}", "provisioned, fixed"))
    terraform.run("apply", "-auto-approve")
    _write(tmp_path, ("on_demand, {}", "provisioned, fixed"), projection="KEYS_ONLY")
    shown = terraform.run("plan", "-out=tfplan").stdout
    # What stays is folded away: people see one index go and one come.
    assert shown.count("- global_secondary_index {") == shown.count("+ global_secondary_index {") == 2
    assert '"ByCity"' not in shown
    terraform.run("apply", "tfplan")
    assert sorted(index_changes) == [("Create", "ByJob")] * 2 + [("Delete", "ByJob")] * 2
    terraform.run("plan", "-detailed-exitcode")


def _write(directory: Path, states: tuple[str, str], projection: str = "ALL") -> None:
    def capacity(state: str) -> str:
        table, by_job = state.split(", ")
        return f"{{ table = local.{table}, by_job = {'{}' if by_job == '{}' else f'local.{by_job}'} }}"

    tables = f"{{ {', '.join(f'{name} = {capacity(state)}' for name, state in zip(NAMES, states, strict=True))} }}"
    root = ROOT % (tables, REPOSITORY / "terraform/modules/table")
    (directory / "main.tf").write_text(root.replace('"ALL"', f'"{projection}"'))


def _scale(dynamodb: Any, table: str, indexes: list[str]) -> None:
    """As the scaler does: by UpdateTable."""
    units = dict(zip(("ReadCapacityUnits", "WriteCapacityUnits"), MOVED, strict=True))
    dynamodb.update_table(
        TableName=table,
        ProvisionedThroughput=units,
        GlobalSecondaryIndexUpdates=[
            {"Update": {"IndexName": index, "ProvisionedThroughput": units}} for index in indexes
        ],
    )


def _units(described: dict[str, Any]) -> dict[str, tuple[int, int]]:
    places = {described["TableName"]: described, **{i["IndexName"]: i for i in described["GlobalSecondaryIndexes"]}}
    on_demand = described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    return {
        name: (0, 0) if on_demand else (units["ReadCapacityUnits"], units["WriteCapacityUnits"])
        for name, units in ((name, place.get("ProvisionedThroughput")) for name, place in places.items())
    }


def _client(aws: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )

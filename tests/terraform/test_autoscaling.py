"""Autoscaled capacity: what the scaler moves after an apply is no drift, and nothing else is hidden by that."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts import drift
from tests.terraform.running import REGION, REPOSITORY, Terraform

ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

provider "aws" {
  default_tags { tags = { Team = "agents" } }
}

variable "autoscaled" {
  type    = bool
  default = true
}

module "agents" {
  source = "%s"

  table = {
    name                = "Agents"
    hash_key            = { name = "id", type = "S" }
    deletion_protection = false
    billing_mode        = "PROVISIONED"
    read_capacity       = 10
    write_capacity      = 10
    autoscaling         = var.autoscaled ? { read = { min = 5, max = 40 }, write = { max = 40 } } : {}
    indexes = {
      ByJob = {
        hash_key       = { name = "job", type = "S" }
        read_capacity  = 5
        write_capacity = 5
        autoscaling    = var.autoscaled ? { read = { max = 20 }, write = { max = 20 } } : {}
      }
    }
  }
}
"""


@pytest.fixture
def table(tmp_path: Path, aws: dict[str, str]) -> Iterator[Terraform]:
    """A table with an index, autoscaled and applied."""
    (tmp_path / "main.tf").write_text(ROOT % (REPOSITORY / "terraform/modules/table"))
    terraform = Terraform(tmp_path, tmp_path / ".terraform", aws)
    terraform.init()
    with terraform.attached():
        terraform.run("apply", "-auto-approve")
        yield terraform


def test_what_the_scaler_moved_is_no_drift(table: Terraform, aws: dict[str, str]) -> None:
    table.run("plan", "-detailed-exitcode")
    assert len(_targets(aws)) == 4

    _move(aws, table=(23, 31), index=(17, 19))
    table.run("plan", "-detailed-exitcode", "-out=tfplan")
    found = drift.classify(table.show("tfplan"), {})
    assert found.findings == []
    moved = {one.attribute: (one.applied, one.actual) for one in found.managed}
    assert moved["read_capacity"] == ("10", "23")
    assert moved["global_secondary_index.write_capacity"] == ("5", "19")
    assert _capacity(aws) == {"Agents": (23, 31), "ByJob": (17, 19)}

    # Switched off, the numbers are the configuration's again.
    table.run("apply", "-auto-approve", "-var=autoscaled=false")
    assert _capacity(aws) == {"Agents": (10, 10), "ByJob": (5, 5)}
    assert _targets(aws) == []
    _move(aws, table=(11, 10), index=(5, 5))
    table.run("plan", "-detailed-exitcode", "-var=autoscaled=false", accept=(2,))

    table.run("destroy", "-auto-approve")
    assert _client(aws, "dynamodb").list_tables()["TableNames"] == []


def test_only_capacity_within_its_bounds_is_taken_over(table: Terraform, aws: dict[str, str]) -> None:
    _move(aws, table=(2, 31), index=(17, 99))
    main = table.directory / "main.tf"
    main.write_text(main.read_text().replace('name = "job"', 'name = "trade"'))
    table.run("plan", "-out=tfplan")
    (change,) = [c for c in table.show("tfplan")["resource_changes"] if c["change"]["actions"] != ["no-op"]]
    assert change["change"]["actions"] == ["update"]
    after = change["change"]["after"]
    (index,) = after["global_secondary_index"]
    assert (after["read_capacity"], after["write_capacity"]) == (5, 31)
    assert (index["hash_key"], index["read_capacity"], index["write_capacity"]) == ("trade", 17, 20)


def _move(aws: dict[str, str], table: tuple[int, int], index: tuple[int, int]) -> None:
    """As the scaler does: by UpdateTable."""
    _client(aws, "dynamodb").update_table(
        TableName="Agents",
        ProvisionedThroughput=_units(table),
        GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "ByJob", "ProvisionedThroughput": _units(index)}}],
    )
    assert _capacity(aws) == {"Agents": table, "ByJob": index}


def _units(pair: tuple[int, int]) -> dict[str, int]:
    return {"ReadCapacityUnits": pair[0], "WriteCapacityUnits": pair[1]}


def _capacity(aws: dict[str, str]) -> dict[str, tuple[int, int]]:
    described = _client(aws, "dynamodb").describe_table(TableName="Agents")["Table"]
    places = {"Agents": described, **{index["IndexName"]: index for index in described["GlobalSecondaryIndexes"]}}
    units = {name: place["ProvisionedThroughput"] for name, place in places.items()}
    return {name: (unit["ReadCapacityUnits"], unit["WriteCapacityUnits"]) for name, unit in units.items()}


def _targets(aws: dict[str, str]) -> list[Any]:
    targets: list[Any] = _client(aws, "application-autoscaling").describe_scalable_targets(ServiceNamespace="dynamodb")[
        "ScalableTargets"
    ]
    return targets


def _client(aws: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )

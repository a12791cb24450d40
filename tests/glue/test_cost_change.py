"""What a plan costs when nothing is used: reckoned by hand here, from the prices of the file."""

from typing import Any

import pytest

from scripts import cost_change

PROVISIONED = {"billing_mode": "PROVISIONED", "read_capacity": 10, "write_capacity": 5}
FUNCTION = {"function_name": "pets", "memory_size": 512, "architectures": ["arm64"], "runtime": "python3.13"}


def planned(*changes: tuple[str, dict[str, Any] | None, dict[str, Any] | None]) -> dict[str, Any]:
    """A plan of these changes: type, before, after."""

    def actions(before: Any, after: Any) -> list[str]:
        return ["no-op"] if before == after else ["update"] if before and after else ["create"] if after else ["delete"]

    return {
        "resource_changes": [
            {
                "mode": "managed",
                "type": kind,
                "change": {"actions": actions(before, after), "before": before, "after": after},
            }
            for kind, before, after in changes
        ]
    }


@pytest.mark.parametrize(
    ("kind", "values", "what", "dollars"),
    [
        ("aws_dynamodb_table", PROVISIONED, "provisioned capacity", 730 * (10 * 0.00013 + 5 * 0.00065)),
        (
            "aws_dynamodb_table",
            PROVISIONED | {"table_class": "STANDARD_INFREQUENT_ACCESS"},
            "provisioned capacity",
            730 * (10 * 0.00016 + 5 * 0.00081),
        ),
        (
            "aws_dynamodb_table",
            PROVISIONED | {"global_secondary_index": [{"read_capacity": 20, "write_capacity": 20}]},
            "provisioned capacity",
            730 * (30 * 0.00013 + 25 * 0.00065),
        ),
        ("aws_cloudwatch_metric_alarm", {"period": 300}, "alarms", 0.10),
        ("aws_cloudwatch_metric_alarm", {"period": 10}, "alarms", 0.30),
        (
            "aws_cloudwatch_metric_alarm",
            {"metric_query": [{"metric": [{"period": 60}]}, {"metric": [{"period": 60}]}, {"metric": []}]},
            "alarms",
            0.20,
        ),
        ("aws_cloudwatch_composite_alarm", {"alarm_name": "all"}, "alarms", 0.50),
        ("aws_appautoscaling_policy", {"service_namespace": "dynamodb"}, "alarms of autoscaling", 0.40),
        ("aws_cloudwatch_dashboard", {"dashboard_name": "all"}, "dashboards", 3.00),
        ("aws_kms_key", {"description": "tables"}, "encryption keys", 1.00),
        ("aws_secretsmanager_secret", {"name": "key"}, "secrets", 0.40),
        (
            "aws_vpc_endpoint",
            {"vpc_endpoint_type": "Interface", "subnet_ids": ["a", "b"]},
            "interface endpoints",
            730 * 0.02,
        ),
        (
            "aws_lambda_function",
            FUNCTION | {"snap_start": [{"apply_on": "PublishedVersions"}]},
            "snapshots",
            730 * 3600 * 0.5 * 0.0000015046,
        ),
    ],
)
def test_what_is_made_costs_and_what_is_destroyed_saves(
    kind: str, values: dict[str, Any], what: str, dollars: float
) -> None:
    assert cost_change.of_plan(planned((kind, None, values)), "us-east-1").items == {what: round(dollars, 2)}
    assert cost_change.of_plan(planned((kind, values, None)), "us-east-1").items == {what: -round(dollars, 2)}
    assert cost_change.of_plan(planned((kind, values, values)), "us-east-1").items == {}


def test_provisioned_concurrency_costs_by_the_memory_of_its_function() -> None:
    concurrency = {"function_name": "pets", "provisioned_concurrent_executions": 2}
    both = ("aws_lambda_provisioned_concurrency_config", concurrency, concurrency)
    more = ("aws_lambda_function", FUNCTION, FUNCTION | {"memory_size": 1024})
    change = cost_change.of_plan(planned(both, more), "us-east-1")
    assert change.items == {"provisioned concurrency": round(730 * 3600 * 2 * 0.5 * 0.0000033334, 2)}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("aws_dynamodb_table", {"billing_mode": "PAY_PER_REQUEST", "read_capacity": 5, "write_capacity": 5}),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Gateway"}),
        ("aws_lambda_function", FUNCTION),
    ],
)
def test_what_is_paid_by_use_has_no_fixed_cost(kind: str, values: dict[str, Any]) -> None:
    assert cost_change.of_plan(planned((kind, None, values)), "us-east-1").total == 0


def test_autoscaled_capacity_counts_at_its_minimum_and_tells_its_maximum() -> None:
    """Wherever the scaler has moved it; what is not scaled counts as it stands."""
    index = {"name": "ByOwner", "read_capacity": 30, "write_capacity": 4}
    table = PROVISIONED | {"name": "pets", "global_secondary_index": [index]}
    target = {
        "service_namespace": "dynamodb",
        "resource_id": "table/pets/index/ByOwner",
        "scalable_dimension": "dynamodb:index:ReadCapacityUnits",
        "min_capacity": 2,
        "max_capacity": 100,
    }
    change = cost_change.of_plan(
        planned(("aws_dynamodb_table", table, table), ("aws_appautoscaling_target", None, target)), "us-east-1"
    )
    fixed = 10 * 0.00013 + (5 + 4) * 0.00065
    assert change.before == round(730 * (fixed + 30 * 0.00013), 2)
    assert change.after == round(730 * (fixed + 2 * 0.00013), 2)
    assert change.at_most == round(730 * (fixed + 100 * 0.00013), 2)
    assert (
        f"from {change.before:.2f} to {change.after:.2f} (up to {change.at_most:.2f} as it is scaled)" in change.line()
    )


def test_the_line_tells_prices_and_what_is_not_counted() -> None:
    table = ("aws_dynamodb_table", None, {"billing_mode": "PAY_PER_REQUEST"})
    alarm = ("aws_cloudwatch_metric_alarm", {"period": 60}, None)
    line = cost_change.of_plan(planned(table, table, alarm), "eu-north-1").line()
    assert line.startswith(
        "Fixed cost: -0.10 USD a month (alarms -0.10), from 0.10 to 0.00; list prices of us-east-1, 20"
    )
    assert "which are not those of eu-north-1" in line
    assert line.endswith("Paid by use, not counted: requests and storage of on-demand tables (2).")

"""Provisioned capacity in an estimate: where a scaler would set it, and where it is too little."""

import pytest

from scripts import expected_use, volumes
from scripts.applied_state import Instance
from scripts.cost_model import TableUse, Use

DAY_SECONDS = 86400.0
TABLE = Instance(
    "module.pet_store_table[0]",
    "aws_dynamodb_table",
    {
        "name": "Pets",
        "billing_mode": "PROVISIONED",
        "read_capacity": 5,
        "write_capacity": 7,
        "global_secondary_index": [{"name": "by-type", "read_capacity": 2, "write_capacity": 3}],
    },
)


def scaled(place: str, least: int, most: int, percent: float) -> list[Instance]:
    where = {
        "service_namespace": "dynamodb",
        "resource_id": f"table/Pets{place}",
        "scalable_dimension": f"dynamodb:{'index' if place else 'table'}:WriteCapacityUnits",
    }
    aim = {"target_tracking_scaling_policy_configuration": [{"target_value": percent}]}
    limits = {"min_capacity": least, "max_capacity": most}
    return [
        Instance("", "aws_appautoscaling_target", where | limits),
        Instance("", "aws_appautoscaling_policy", where | aim),
    ]


def used(instances: list[Instance], writes_a_second: float, index: str = "") -> tuple[TableUse, Use]:
    """With 3 times the mean in the busiest hour of a day."""
    units = {("Pets", index, "write"): writes_a_second * DAY_SECONDS}
    table = expected_use._table_use(
        TABLE, units, {}, volumes.of({}), expected_use.scalings(instances), period_seconds=3600
    )
    return table, Use(DAY_SECONDS, 3600, (table,), (), 0, {}, {})


def test_without_a_scaler_what_is_stated_is_paid() -> None:
    table, use = used([], 2.0)
    assert [(place.provisioned_reads, place.provisioned_writes) for place in table.places] == [(5, 7), (2, 3)]
    assert list(expected_use.shortages([], use)) == [], "6 a second at the peak"


def test_a_scaler_follows_the_day_within_its_limits() -> None:
    instances = scaled("", 4, 100, 50)
    table, _ = used(instances, 10.0)
    # 30 a second in one hour at 50 % use, and 23 hours of 210/23 = 9.1
    assert table.places[0].provisioned_writes == pytest.approx((60 + 23 * 19) / 24)
    assert table.places[0].provisioned_reads == 5, "no scaler"
    assert used(instances, 0.1)[0].places[0].provisioned_writes == 4
    assert used(instances, 1e6)[0].places[0].provisioned_writes == 100


def test_too_little_capacity_is_told() -> None:
    _, use = used([], 3.0)
    (told,) = expected_use.shortages([], use)
    assert "table Pets gets 9 writes a second in the busiest hour, and is provisioned for 7" in told
    assert list(expected_use.shortages(scaled("", 7, 10, 70), use)) == []
    _, of_index = used([], 3.0, "by-type")
    (told,) = expected_use.shortages(scaled("/index/by-type", 3, 8, 70), of_index)
    assert "index by-type of table Pets gets 9 writes" in told
    assert "for 8" in told

"""CloudWatch's figures of a window: many metrics in few calls."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from scripts import aws

_QUERIES_A_CALL = 500
_MINUTE, _HOUR = 60, 3600


class Metric(NamedTuple):
    """One series and what to ask of it: `Sum`, `Average`, `Maximum` or a percentile as `p99`."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str = "Sum"

    def dimension(self, name: str) -> str:
        return dict(self.dimensions).get(name, "")


def metric(namespace: str, name: str, dimensions: Mapping[str, str], statistic: str = "Sum") -> Metric:
    return Metric(namespace, name, tuple(sorted(dimensions.items())), statistic)


def values(
    wanted: Iterable[Metric], began: datetime, ended: datetime, period_seconds: int | None = None
) -> dict[Metric, list[float]]:
    """The values of each metric that has any in the window, the latest first, in periods of a minute to an hour.

    CloudWatch keeps minutes for 15 days, and hours for 15 months.
    """
    period = period_seconds or (_MINUTE if (ended - began).total_seconds() <= 3 * _HOUR else _HOUR)
    listed = list(dict.fromkeys(wanted))
    found: dict[Metric, list[float]] = {}
    for start in range(0, len(listed), _QUERIES_A_CALL):
        part = {f"m{number}": one for number, one in enumerate(listed[start : start + _QUERIES_A_CALL])}
        queries = [{"Id": name, "MetricStat": _stat(one, period)} for name, one in part.items()]
        pages = aws.client("cloudwatch").get_paginator("get_metric_data")
        for page in pages.paginate(
            MetricDataQueries=queries, StartTime=began, EndTime=ended, ScanBy="TimestampDescending"
        ):
            for result in page["MetricDataResults"]:
                if result["Values"]:
                    found.setdefault(part[result["Id"]], []).extend(result["Values"])
    return found


def sums(wanted: Iterable[Metric], began: datetime, ended: datetime) -> Iterator[tuple[Metric, float]]:
    """Those that counted anything, with the whole window's sum."""
    for one, counted in values(wanted, began, ended).items():
        if total := sum(counted):
            yield one, total


def _stat(one: Metric, period_seconds: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in one.dimensions]
    return {
        "Metric": {"Namespace": one.namespace, "MetricName": one.name, "Dimensions": dimensions},
        "Period": period_seconds,
        "Stat": one.statistic,
    }

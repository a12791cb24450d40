"""CloudWatch's metrics of DynamoDB, Lambda, API Gateway and Logs, as AWS publishes them: a statistic a minute.

Values gather here, in one dictionary, and reach moto when somebody reads: a call must not wait for its own measuring.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterable
from typing import Any

from scripts.local_aws.moto_patch import replace
from scripts.local_aws.settings import ACCOUNT_ID

Dimensions = tuple[tuple[str, str], ...]
_Series = tuple[str, str, Dimensions, str, int]  # namespace, name, dimensions, unit, minute
_Name = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, name, dimensions

_SECONDS_PER_MINUTE = 60


class _Gathered:
    """Since the last read: by region and series, the sum, minimum, maximum and count of values."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_region: dict[str, dict[_Series, list[float]]] = {}

    def add(self, region: str, series: _Series, value: float) -> None:
        with self._lock:
            known = self._by_region.setdefault(region, {})
            found = known.get(series)
            if found is None:
                known[series] = [value, value, value, 1.0]
            else:
                found[0] += value
                found[1] = min(found[1], value)
                found[2] = max(found[2], value)
                found[3] += 1

    def take(self, region: str) -> dict[_Series, list[float]]:
        with self._lock:
            return self._by_region.pop(region, {})


_gathered = _Gathered()


def add(region: str, namespace: str, name: str, dimensions: Dimensions, value: float, unit: str = "Count") -> None:
    """One value, of now."""
    _gathered.add(region, (namespace, name, dimensions, unit, int(time.time()) // _SECONDS_PER_MINUTE), value)


def install() -> None:
    """Patches moto. Once a process."""
    from moto.cloudwatch.models import CloudWatchBackend

    reading = threading.Lock()

    @replace(CloudWatchBackend, "get_all_metrics")
    def get_all_metrics(original: Any, self: Any) -> Any:
        if self.account_id == ACCOUNT_ID:
            self.metric_data.extend(_data(_gathered.take(self.region_name)))
        return original(self)

    @replace(CloudWatchBackend, "get_metric_data")
    def get_metric_data(original: Any, self: Any, queries: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """moto walks all data for each period of each query: it is handed what the query is about."""
        if any("MetricStat" not in query for query in queries):
            return original(self, queries, *args, **kwargs)
        with reading:
            by_series: dict[_Name, list[Any]] = {}
            for datum in self.get_all_metrics():
                by_series.setdefault(_name(datum), []).append(datum)
            answers = []
            try:
                for query in queries:
                    stat = query["MetricStat"]
                    metric = stat["Metric"]
                    found = by_series.get(_wanted(metric), [])
                    self.get_all_metrics = lambda found=found: found
                    # moto compares dimensions in their order: here they are compared already.
                    plain = {**query, "MetricStat": {**stat, "Metric": {**metric, "Dimensions": []}}}
                    answers += original(self, [plain], *args, **kwargs)
            finally:
                self.__dict__.pop("get_all_metrics", None)
            return answers


def _data(taken: dict[_Series, list[float]]) -> Iterable[Any]:
    from moto.cloudwatch.models import MetricAggregatedDatum

    for (namespace, name, dimensions, unit, minute), (total, least, most, count) in taken.items():
        at = datetime.datetime.fromtimestamp(minute * _SECONDS_PER_MINUTE, datetime.UTC).replace(tzinfo=None)
        named = [{"Name": key, "Value": value} for key, value in dimensions]
        yield MetricAggregatedDatum(namespace, name, least, most, count, total, named, at, unit)


def _name(datum: Any) -> _Name:
    return datum.namespace, datum.name, frozenset((one.name, one.value) for one in datum.dimensions)


def _wanted(metric: dict[str, Any]) -> _Name:
    dimensions = frozenset((one["Name"], one["Value"]) for one in metric.get("Dimensions") or [])
    return metric["Namespace"], metric["MetricName"], dimensions

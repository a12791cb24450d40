"""Contributor insights of DynamoDB, which moto lacks: which keys are used most, in the rules that DynamoDB makes.

Each key in a call counts as one unit, since capacity figures are not real here. Nothing throttles, so that the rules of
throttled keys stay empty, and so do those of sort keys.
"""

from __future__ import annotations

import collections
import datetime
import functools
import threading
import time
from collections.abc import Iterable
from typing import Any

from scripts.local_aws.settings import ACCOUNT_ID

_PERIOD_SECONDS = 60
_CONTRIBUTORS = 10  # unless more are asked for


class _Place:
    """A table, or an index, that is counted: its rules, and units by minute and key."""

    def __init__(self, name: str, *, has_range_key: bool) -> None:
        kinds = ("PKC", "PKT", "SKC", "SKT") if has_range_key else ("PKC", "PKT")
        self.rules = {kind: f"DynamoDBContributorInsights-{kind}-{name}-{int(time.time() * 1000)}" for kind in kinds}
        self.enabled_at = time.time()
        self.units: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)


class ContributorInsights:
    """What is counted, by the ARN of the table or index."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def count(self, arn: str, keys: Iterable[str]) -> None:
        if place := self._places.get(arn):
            with self._lock:
                place.units[int(time.time()) // _PERIOD_SECONDS].update(keys)

    def switch(self, arn: str, *, on: bool, name: str, has_range_key: bool) -> str:
        """The new status, on the way there as AWS tells it."""
        with self._lock:
            if on:
                self._places.setdefault(arn, _Place(name, has_range_key=has_range_key))
            else:
                self._places.pop(arn, None)
        return "ENABLING" if on else "DISABLING"

    def describe(self, arn: str) -> dict[str, Any]:
        place = self._places.get(arn)
        if place is None:
            return {"ContributorInsightsStatus": "DISABLED", "ContributorInsightsRuleList": []}
        return {
            "ContributorInsightsStatus": "ENABLED",
            "ContributorInsightsRuleList": list(place.rules.values()),
            "LastUpdateDateTime": place.enabled_at,
        }

    def report(self, rule: str, start: float, end: float, most: int) -> dict[str, Any] | None:
        """As GetInsightRuleReport answers; None for no such rule."""
        place = next((place for place in self._places.values() if rule in place.rules.values()), None)
        if place is None:
            return None
        minutes: dict[int, collections.Counter[str]] = {}
        if rule == place.rules["PKC"]:
            with self._lock:
                minutes = {
                    minute: collections.Counter(units)
                    for minute, units in sorted(place.units.items())
                    if start <= minute * _PERIOD_SECONDS + _PERIOD_SECONDS and minute * _PERIOD_SECONDS < end
                }
        total = sum(minutes.values(), collections.Counter())
        return {
            "KeyLabels": ["partitionKey"],
            "AggregationStatistic": "Sum",
            "AggregateValue": float(total.total()),
            "ApproximateUniqueCount": len(total),
            "Contributors": [
                {
                    "Keys": [key],
                    "ApproximateAggregateValue": float(units),
                    "Datapoints": [
                        {"Timestamp": _at(minute), "ApproximateValue": float(counted[key])}
                        for minute, counted in minutes.items()
                        if key in counted
                    ],
                }
                for key, units in total.most_common(most)
            ],
            "MetricDatapoints": [],
        }


def _at(minute: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(minute * _PERIOD_SECONDS, datetime.UTC)


@functools.cache
def install() -> ContributorInsights:
    """Patches moto."""
    from moto.cloudwatch.exceptions import ResourceNotFoundException as NoSuchRule
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.core.responses import ActionResult
    from moto.dynamodb.exceptions import ResourceNotFoundException
    from moto.dynamodb.models import dynamodb_backends
    from moto.dynamodb.responses import DynamoHandler

    insights = ContributorInsights()

    def place_of(handler: Any) -> tuple[str, str, bool]:
        """ARN, name, and whether it has a sort key. Raises DynamoDB's own error where it is not there."""
        name, index = handler.params["TableName"].rsplit("/", 1)[-1], handler.params.get("IndexName")
        table = dynamodb_backends[ACCOUNT_ID][handler.region].get_table(name)
        if index is None:
            return table.table_arn, name, table.range_key_attr is not None
        schema = next((found.schema for found in table.all_indexes() if found.name == index), None)
        if schema is None:
            raise ResourceNotFoundException(f"Requested resource not found: Index: {index} not found")
        return f"{table.table_arn}/index/{index}", f"{name}-{index}", len(schema) > 1

    def names(handler: Any) -> dict[str, str]:
        return {name: handler.params[name] for name in ("TableName", "IndexName") if name in handler.params}

    def update_contributor_insights(self: Any) -> Any:
        arn, name, has_range_key = place_of(self)
        on = self.params["ContributorInsightsAction"] == "ENABLE"
        status = insights.switch(arn, on=on, name=name, has_range_key=has_range_key)
        return ActionResult({**names(self), "ContributorInsightsStatus": status})

    def describe_contributor_insights(self: Any) -> Any:
        return ActionResult({**names(self), **insights.describe(place_of(self)[0])})

    def get_insight_rule_report(self: Any) -> Any:
        start, end = self._get_param("StartTime"), self._get_param("EndTime")
        most = int(self._get_param("MaxContributorCount") or _CONTRIBUTORS)
        report = insights.report(self._get_param("RuleName"), start.timestamp(), end.timestamp(), most)
        if report is None:
            raise NoSuchRule
        return ActionResult(report)

    for action in (update_contributor_insights, describe_contributor_insights):
        setattr(DynamoHandler, action.__name__, action)
    CloudWatchResponse.get_insight_rule_report = get_insight_rule_report
    return insights

"""Keys that get more than their share, where contributor insights are on.

DynamoDB makes rules for the keys that are used most (PKC, SKC: in units, a write counting three) and throttled most
(PKT, SKT). One partition bears 3,000 such units a second.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from scripts import aws
from scripts.diagnosis import fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import STACK, Finding, finding

PARTITION_UNITS_A_MINUTE = 3000 * 60
NEAR_THE_END = 0.5
LARGE_SHARE, SOME_TRAFFIC = 0.5, 1000
_PERIOD_SECONDS, _CONTRIBUTORS = 60, 3
_LONGEST = timedelta(hours=24)  # of one report


def look(examined: Examined, system: str, declared: dict[str, Any]) -> Iterator[Finding]:
    """Of one table and its indexes."""
    name = declared["name"]
    for index in ("", *declared["indexes"]):
        which = {"TableName": name, **({"IndexName": index} if index else {})}
        insights = aws.client("dynamodb").describe_contributor_insights(**which)
        if insights["ContributorInsightsStatus"] != "ENABLED":
            continue
        place = f"index {index} of table {name}" if index else f"table {name}"
        for rule in insights["ContributorInsightsRuleList"]:
            kind = rule.split("-")[1]
            # those of sort keys tell the same in more detail
            if kind == "PKT":
                yield from _throttled(examined, system, place, name, _report(examined, rule))
            elif kind == "PKC":
                yield from _accessed(examined, system, place, name, _report(examined, rule))


def _report(examined: Examined, rule: str) -> dict[str, Any]:
    answer: dict[str, Any] = aws.client("cloudwatch").get_insight_rule_report(
        RuleName=rule,
        StartTime=max(examined.began, examined.now - _LONGEST),
        EndTime=examined.now,
        Period=_PERIOD_SECONDS,
        MaxContributorCount=_CONTRIBUTORS,
        OrderBy="Sum",
    )
    return answer


def _key(contributor: dict[str, Any]) -> str:
    return " ".join(contributor["Keys"])


def _throttled(examined: Examined, system: str, place: str, name: str, report: dict[str, Any]) -> Iterator[Finding]:
    keys = [one for one in report["Contributors"] if one["ApproximateAggregateValue"] > 0]
    if keys:
        listed = ", ".join(f"{_key(one)!r} ({one['ApproximateAggregateValue']:.0f} times)" for one in keys)
        yield finding(
            "throttled-key",
            name,
            f"requests to {place} are throttled for the keys {listed}",
            "one partition bears 3,000 reads or 1,000 writes a second, whatever the table's capacity: spread the key "
            "(docs/scale.md says by which variable), or read it less often; if the table's capacity is at its end, "
            "raise that",
            fixes.edit_and_apply(examined.environment),
            system=system,
        )


def _accessed(examined: Examined, system: str, place: str, name: str, report: dict[str, Any]) -> Iterator[Finding]:
    total = report.get("AggregateValue", 0.0)
    for one in report["Contributors"]:
        units = one["ApproximateAggregateValue"]
        peak = max((point["ApproximateValue"] for point in one["Datapoints"]), default=0.0)
        near = peak / PARTITION_UNITS_A_MINUTE
        share = units / total if total else 0.0
        if near >= NEAR_THE_END or (share >= LARGE_SHARE and total >= SOME_TRAFFIC):
            yield finding(
                "hot-key",
                name,
                f"key {_key(one)!r} of {place} gets {share:.0%} of all units, "
                f"and in its busiest minute {near:.0%} of what a partition bears",
                "a partition bears 3,000 reads or 1,000 writes a second: beyond, requests for this key are throttled "
                "whatever the table's capacity. Whoever asks that often may keep answers for a while, or "
                "spread the key: docs/scale.md says by which variable",
                _who_asks(examined, system, name),
                system=system,
                severity="" if near >= NEAR_THE_END else "info",
            )


def _who_asks(examined: Examined, system: str, name: str) -> str:
    """The requests themselves, where there is a function that logs them."""
    if system == STACK:
        return fixes.aws(examined.environment, f"dynamodb describe-contributor-insights --table-name {name}")
    return f"{fixes.make(examined.environment, 'logs')} SYSTEM={system.split(', ')[0]} SINCE=10m FOLLOW=0"

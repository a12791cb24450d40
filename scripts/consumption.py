"""What an applied stack has used, as CloudWatch and DynamoDB tell it. Reads only."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import aws, cost_model, durations, metrics
from scripts.applied_state import Instance
from scripts.console import CommandError, Progress
from scripts.cost_model import FunctionUse, Place, TableUse, Use
from scripts.metrics import Metric
from scripts.price_list import Prices

_DAY_SECONDS = 86400
# How long CloudWatch keeps a period's data points; the finest that a window needs is taken, for the peak's sake.
_KEPT_DAYS = {60: 15, 300: 63, 3600: 455}
_LONGEST_WINDOW = {60: 6 * 3600, 300: 3 * _DAY_SECONDS, 3600: 455 * _DAY_SECONDS}
# Of a stack that was made just now: metrics come by the minute.
_SHORTEST_SECONDS = 60
# Lambda bills begun milliseconds; its metric has the fractions.
_ROUNDING_SECONDS = 0.0005


class Window(NamedTuple):
    """From `start` to `end` (epoch seconds, whole periods), of which `seconds` are past."""

    start: int
    end: int
    period: int
    seconds: float


def window(since_seconds: int, now: float | None = None) -> Window:
    """Raises CommandError for one that CloudWatch knows nothing of."""
    now = time.time() if now is None else now
    if not 0 < since_seconds <= _LONGEST_WINDOW[3600]:
        raise CommandError(
            f"SINCE is {since_seconds / _DAY_SECONDS:g} days; CloudWatch keeps metrics for {_KEPT_DAYS[3600]}.",
            "Write for example SINCE=24h, SINCE=7d or SINCE=30d.",
        )
    period = next(period for period, longest in _LONGEST_WINDOW.items() if since_seconds <= longest)
    start = math.floor((now - since_seconds) / period) * period
    # Of the period under way there is data already.
    return Window(start, math.ceil(now / period) * period, period, now - start)


def of_stack(
    instances: Sequence[Instance], chosen: Window, prices: Prices, progress: Progress
) -> tuple[Use, list[str]]:
    """What the stack's resources used in the window, and what a person must know of it."""
    notes: list[str] = []
    progress.update("tables")
    tables = list(_tables(instances, notes))
    functions = [one for one in instances if one.type == "aws_lambda_function"]
    groups = [one for one in instances if one.type == "aws_cloudwatch_log_group"]
    apis = [one for one in instances if one.type == "aws_apigatewayv2_api"]
    chosen = _of_the_stack(chosen, tables, notes)
    progress.update("metrics")
    wanted = [one for table in tables for one in table.wanted()]
    for function in functions:
        wanted += [_lambda(function, "Invocations"), _lambda(function, "Duration")]
    wanted += [_logs(group) for group in groups] + [_api(api) for api in apis]
    began, ended = (datetime.fromtimestamp(at, UTC) for at in (chosen.start, chosen.end))
    values = metrics.values(wanted, began, ended, chosen.period)

    def total(one: Metric) -> float:
        return sum(values.get(one, ()))

    log_bytes: dict[str, float] = {}
    for group in groups:
        system = cost_model.system_of(group)
        log_bytes[system] = log_bytes.get(system, 0.0) + total(_logs(group))
    return Use(
        seconds=chosen.seconds,
        period_seconds=chosen.period,
        tables=tuple(table.use(values) for table in tables),
        functions=tuple(
            FunctionUse(
                cost_model.system_of(function),
                calls := total(_lambda(function, "Invocations")),
                (total(_lambda(function, "Duration")) / 1000 + calls * _ROUNDING_SECONDS) * gigabytes(function),
                architecture(function),
            )
            for function in functions
        ),
        api_requests=sum(total(_api(api)) for api in apis),
        log_bytes=log_bytes,
        fixed=cost_model.fixed_costs(instances, prices),
    ), notes


def gigabytes(function: Instance) -> float:
    return float(function.attributes.get("memory_size") or 128) / 1024


def architecture(function: Instance) -> str:
    return str((function.attributes.get("architectures") or ["x86_64"])[0])


class _Table(NamedTuple):
    """`described`: what DescribeTable tells; `recovers`: whether point-in-time recovery is on."""

    system: str
    described: Mapping[str, Any]
    recovers: bool
    backup_bytes: int

    @property
    def name(self) -> str:
        return str(self.described["TableName"])

    @property
    def is_provisioned(self) -> bool:
        return bool(self.described.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST")

    def places(self) -> list[Mapping[str, Any]]:
        """The table, and its global indexes."""
        return [self.described, *self.described.get("GlobalSecondaryIndexes", [])]

    def wanted(self) -> Iterator[Metric]:
        for place in self.places():
            for kind in ("Read", "Write"):
                yield self._metric(place, "Consumed", kind, "Sum")
                if self.is_provisioned:
                    yield self._metric(place, "Provisioned", kind, "Average")

    def _metric(self, place: Mapping[str, Any], what: str, kind: str, statistic: str) -> Metric:
        index = place.get("IndexName")
        where = {"TableName": self.name} | ({"GlobalSecondaryIndexName": index} if index else {})
        return metrics.metric("AWS/DynamoDB", f"{what}{kind}CapacityUnits", where, statistic)

    def use(self, values: Mapping[Metric, Sequence[float]]) -> TableUse:
        def consumed(place: Mapping[str, Any], kind: str) -> tuple[float, ...]:
            return tuple(values.get(self._metric(place, "Consumed", kind, "Sum"), ()))

        def provisioned(place: Mapping[str, Any], kind: str) -> float:
            """As a scaler had set it in the mean; as it is now where CloudWatch has nothing."""
            if not self.is_provisioned:
                return 0.0
            known = values.get(self._metric(place, "Provisioned", kind, "Average"), ())
            now = float(place.get("ProvisionedThroughput", {}).get(f"{kind}CapacityUnits", 0))
            return sum(known) / len(known) if known else now

        indexes = self.described.get("GlobalSecondaryIndexes", [])
        # Recovery bills a table with its local indexes, and no global ones.
        local = sum(index.get("IndexSizeBytes", 0) for index in self.described.get("LocalSecondaryIndexes", []))
        own = self.described.get("TableSizeBytes", 0) + local
        return TableUse(
            system=self.system,
            name=self.name,
            is_provisioned=self.is_provisioned,
            infrequent_access="INFREQUENT" in self.described.get("TableClassSummary", {}).get("TableClass", ""),
            places=tuple(
                Place(
                    place.get("IndexName", ""),
                    consumed(place, "Read"),
                    consumed(place, "Write"),
                    provisioned(place, "Read"),
                    provisioned(place, "Write"),
                )
                for place in self.places()
            ),
            storage_bytes=own + sum(index.get("IndexSizeBytes", 0) for index in indexes),
            recovery_bytes=own if self.recovers else 0,
            backup_bytes=self.backup_bytes,
        )


def _tables(instances: Iterable[Instance], notes: list[str]) -> Iterator[_Table]:
    dynamodb = aws.client("dynamodb")
    for one in instances:
        if one.type != "aws_dynamodb_table":
            continue
        name = one.attributes["name"]
        try:
            described = dynamodb.describe_table(TableName=name)["Table"]
            recovery = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        except dynamodb.exceptions.ResourceNotFoundException:
            notes.append(f"Table {name} is in the state but not in the account: it counts as nothing.")
            continue
        if described.get("Replicas"):
            notes.append(f"Table {name} has replicas: what they use in their own regions is not counted.")
        status = recovery.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        backups = _backup_bytes(dynamodb, name, notes)
        yield _Table(cost_model.system_of(one), described, status == "ENABLED", backups)


def _backup_bytes(dynamodb: Any, table: str, notes: list[str]) -> int:
    """Of backups on demand, AWS Backup's among them."""
    request: dict[str, Any] = {"TableName": table, "BackupType": "ALL"}
    total = 0
    try:
        while True:
            page = dynamodb.list_backups(**request)
            total += sum(int(backup.get("BackupSizeBytes", 0)) for backup in page["BackupSummaries"])
            if not page.get("LastEvaluatedBackupArn"):
                return total
            request["ExclusiveStartBackupArn"] = page["LastEvaluatedBackupArn"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        notes.append("Backups are not counted: dynamodb:ListBackups is not allowed.")
        return 0


def _of_the_stack(chosen: Window, tables: Sequence[_Table], notes: list[str]) -> Window:
    """The part of the window in which there was a stack: its oldest table tells.

    What was used before, by one of the same name that is destroyed, is not this one's.
    """
    created = [table.described["CreationDateTime"].timestamp() for table in tables]
    now = chosen.start + chosen.seconds
    age = now - min(created, default=0.0)
    if not created or age >= chosen.seconds:
        return chosen
    own = window(max(_SHORTEST_SECONDS, math.ceil(age)), now)
    notes.append(f"The stack is younger than the window: a month is reckoned from its {durations.text(own.seconds)}.")
    return own


def _lambda(function: Instance, name: str) -> Metric:
    return metrics.metric("AWS/Lambda", name, {"FunctionName": function.attributes["function_name"]})


def _logs(group: Instance) -> Metric:
    return metrics.metric("AWS/Logs", "IncomingBytes", {"LogGroupName": group.attributes["name"]})


def _api(api: Instance) -> Metric:
    return metrics.metric("AWS/ApiGateway", "Count", {"ApiId": api.attributes["id"]})

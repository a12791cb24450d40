"""Which metrics AWS publishes under which dimensions: CloudWatch takes an alarm on any others, and it stays silent.

From the services' own lists of metrics: DynamoDB's "Metrics and dimensions", Lambda's "Types of metrics", API Gateway's
"Monitoring HTTP APIs".
"""

from collections.abc import Collection, Iterator, Mapping

_TABLE, _INDEX = frozenset({"TableName"}), frozenset({"TableName", "GlobalSecondaryIndexName"})
_OPERATION = frozenset({"TableName", "Operation"})
_FUNCTION, _QUALIFIED = frozenset({"FunctionName"}), frozenset({"FunctionName", "Resource"})
_API, _STAGE = frozenset({"ApiId"}), frozenset({"ApiId", "Stage"})
_ROUTE = frozenset({"ApiId", "Stage", "Method", "Resource"})
_ACCOUNT: frozenset[str] = frozenset()

DIMENSIONS: Mapping[tuple[str, str], tuple[frozenset[str], ...]] = {
    **{
        ("AWS/DynamoDB", metric): (_TABLE, _INDEX)
        for metric in (
            "ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits",
            "ProvisionedReadCapacityUnits", "ProvisionedWriteCapacityUnits",
        )
    },
    **{
        ("AWS/DynamoDB", metric): (_OPERATION,)
        for metric in ("SystemErrors", "ThrottledRequests", "SuccessfulRequestLatency", "ReturnedItemCount")
    },
    ("AWS/DynamoDB", "ConditionalCheckFailedRequests"): (_TABLE,),
    ("AWS/DynamoDB", "TimeToLiveDeletedItemCount"): (_TABLE,),
    ("AWS/DynamoDB", "UserErrors"): (_ACCOUNT,),
    **{
        ("AWS/Lambda", metric): (_FUNCTION, _QUALIFIED)
        for metric in ("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "DeadLetterErrors")
    },
    ("AWS/Lambda", "UnreservedConcurrentExecutions"): (_ACCOUNT,),
    **{
        ("AWS/Lambda", metric): (_QUALIFIED,)
        for metric in ("ProvisionedConcurrencySpilloverInvocations", "ProvisionedConcurrencyUtilization")
    },
    **{
        ("AWS/ApiGateway", metric): (_API, _STAGE, _ROUTE)
        for metric in ("4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency")
    },
}  # fmt: skip
OPERATIONS = frozenset({
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "ExecuteStatement", "ExecuteTransaction", "GetItem", "PutItem",
    "Query", "Scan", "TransactGetItems", "TransactWriteItems", "UpdateItem",
})  # fmt: skip

# The metric of a REST API is another than that of an HTTP API.
_REST_APIS = frozenset({"4XXError", "5XXError"})


class Resources:
    """What dimensions can name: tables with their indexes, functions, aliases as `function:alias`, APIs' ids."""

    def __init__(
        self,
        indexes_by_table: Mapping[str, Collection[str]],
        functions: Collection[str],
        aliases: Collection[str],
        apis: Collection[str],
    ) -> None:
        self._indexes = indexes_by_table
        self._known: dict[str, Collection[str]] = {
            "TableName": indexes_by_table.keys(),
            "Operation": OPERATIONS,
            "FunctionName": functions,
            "ApiId": apis,
        }
        self._aliases = aliases

    def missing(self, dimensions: Mapping[str, str]) -> Iterator[str]:
        """The dimensions that name what is not there, as `no TableName Orders`."""
        known = self._known | {"GlobalSecondaryIndexName": self._indexes.get(dimensions.get("TableName", ""), ())}
        if "FunctionName" in dimensions:
            known["Resource"] = self._aliases
        for name, value in dimensions.items():
            if name in known and value not in known[name]:
                yield f"no {name} {value}"


def silent(namespace: str, metric: str, dimensions: Mapping[str, str], resources: Resources) -> str:
    """Why an alarm on this metric can never go off; "" where it can, or where nothing is known of the metric."""
    if namespace == "AWS/ApiGateway" and metric in _REST_APIS and "ApiId" in dimensions:
        return f"an HTTP API has no metric {metric}; it is called {metric[:3].lower()}"
    published = DIMENSIONS.get((namespace, metric))
    if published is None:
        return ""
    if frozenset(dimensions) not in published:
        return f"{namespace} {metric} has no series by {', '.join(sorted(dimensions)) or 'no dimension'}"
    return "; ".join(resources.missing(dimensions))

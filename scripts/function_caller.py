"""A system's function, called in this process as its callers would, and what its calls to DynamoDB take."""

import contextlib
import importlib
import io
import json
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl

from scripts import paths
from scripts.console import CommandError, one_line
from scripts.workloads import Answer

_READS = ("GetItem", "BatchGetItem", "Query", "Scan")
# START, END and REPORT, each with CloudWatch's 26 bytes; the function's own line is measured.
_LOG_FRAME_BYTES = 350
_CALL_MILLISECONDS = 120_000
# An engine beside much else on this machine: what the client does about one that is silent is not what is measured.
_PATIENCE_SECONDS = 60.0

# Units by table, index ("" for the table itself) and kind: read or write
Units = dict[tuple[str, str, str], float]
Around = Callable[[str, Mapping[str, Any], Callable[[], Any]], Any]


class Caller:
    """A system's function in this process, and what its calls to DynamoDB took."""

    def __init__(self, system: str, stated: Mapping[str, str], connection: Mapping[str, str], hint: str = "") -> None:
        """`stated` is the function's environment; `connection` names region, keys and AWS_ENDPOINT_URL.

        `hint` is the next step where the function refuses a call.
        """
        self._system = system
        self._hint = hint
        self.units: Units = {}
        self.log_bytes = 0
        # Who wants to see more of a call than its units: given operation, payload, and what carries it out
        self.around: Around = lambda _operation, _payload, carry_out: carry_out()
        # Replies by HTTP would call somebody; what they cost is not AWS's.
        environment = {
            **stated,
            "REPLY_BACKEND": "echo",
            **connection,
            "AWS_LAMBDA_FUNCTION_NAME": system,
        }
        self._app = handler_of(system, environment).build(environment)
        if service := getattr(self._app._database, "_client", None):  # there is none where persistence is memory
            service.read_seconds = _PATIENCE_SECONDS
            self._count(service)

    def read_and_write_units(self) -> tuple[float, float]:
        """Of the calls since `begin`."""
        reads = sum(units for (_, _, kind), units in self.units.items() if kind == "read")
        return reads, sum(self.units.values()) - reads

    def begin(self) -> None:
        """Counts from here."""
        self.units.clear()
        self.log_bytes = 0

    def _count(self, service: Any) -> None:
        original = service.call

        def call(operation: str, payload: Mapping[str, Any]) -> Any:
            asked = {**payload, "ReturnConsumedCapacity": "INDEXES"}
            answer = self.around(operation, payload, lambda: original(operation, asked))
            kind = "read" if operation in _READS else "write"
            consumed = answer.get("ConsumedCapacity") or []
            for table in [consumed] if isinstance(consumed, dict) else consumed:
                # some engines tell no more than the sum
                own = table.get("Table", table)["CapacityUnits"]
                self._add(table["TableName"], "", kind, own)
                for index, part in table.get("GlobalSecondaryIndexes", {}).items():
                    self._add(table["TableName"], index, kind, part["CapacityUnits"])
                for part in table.get("LocalSecondaryIndexes", {}).values():
                    self._add(table["TableName"], "", kind, part["CapacityUnits"])
            return answer

        service.call = call

    def _add(self, table: str, index: str, kind: str, units: float) -> None:
        place = (table, index, kind)
        self.units[place] = self.units.get(place, 0.0) + units

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Answer:
        context = SimpleNamespace(
            aws_request_id="count", get_remaining_time_in_millis=lambda: _CALL_MILLISECONDS, client_context=None
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = self._app(http_event(method, path, body, headers), context)
        self.log_bytes += len(printed.getvalue().encode()) + _LOG_FRAME_BYTES
        answered = json.loads(result["body"]) if result["body"] else None
        if not 200 <= result["statusCode"] < 300:
            raise CommandError(
                f"{self._system} answered {method} {path} with {result['statusCode']}: "
                f"{one_line(str(result['body']))[:300]}",
                self._hint,
            )
        return Answer(result["statusCode"], answered)


def handler_of(system: str, environment: Mapping[str, str]) -> Any:
    """The module of a system's function, in this process."""
    paths.functions_can_be_imported()
    # The module makes a handler of the process's environment, as it is imported.
    with mock.patch.dict(os.environ, {**environment, "PERSISTENCE": "memory"}):
        return importlib.import_module(f"{system}.handler")


def http_event(method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """As an HTTP API hands a request on."""
    place, _, query = path.partition("?")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": place,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers} if body is not None else dict(headers),
        "requestContext": {"stage": "$default", "http": {"method": method, "path": place}},
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = dict(parse_qsl(query))
    if body is not None:
        event["body"] = json.dumps(body)
    return event

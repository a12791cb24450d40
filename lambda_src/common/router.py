"""From an event to a route's function and back: matching, problem details, headers, one log line a request."""

from __future__ import annotations

import json
import os
import sys
import time

from common import clock, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from common.events import Answer, Request
    from common.table import Database

    Route = Callable[[Request], Answer]

# LOG_LEVEL says WARNING, lines say WARN as Lambda does, which filters them by level and timestamp in its JSON format
_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2, "WARNING": 2, "ERROR": 3}
# Kept back from the invocation's time to put the answer together
_ANSWER_SECONDS = 0.25
_DEFAULT_SECONDS = 10.0
_written = json.JSONEncoder(ensure_ascii=False).encode


class App:
    """The handler of one system. `routes` maps "GET /agents/{id}" to the function that answers it."""

    def __init__(self, routes: Mapping[str, Route], database: Database, environment: Mapping[str, str]) -> None:
        self.routes = routes
        self.environment_id = _new_id()
        self._templates = {key.partition(" ")[2]: key.partition(" ")[2].strip("/").split("/") for key in routes}
        self._database = database
        self._level = _LEVELS.get(environment.get("LOG_LEVEL", "INFO").upper(), 1)
        if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            from snapshot_restore_py import register_after_restore

            register_after_restore(self.restored)
        database.warm()

    def restored(self) -> None:
        """Many environments start from one snapshot: each needs its own identity, connection and credentials."""
        self.environment_id = _new_id()
        self._database.forget()

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        started = time.monotonic()
        request_id = str(getattr(context, "aws_request_id", "") or _new_id())
        deadline = started + seconds_left(context)
        self._database.begin(deadline)
        line: dict[str, Any] = {"level": "INFO", "request_id": request_id, "environment": self.environment_id}
        try:
            result = self._answer(event, deadline, line).proxy_result()
        except Exception as error:  # noqa: BLE001 - whatever happens is answered as a problem
            from common.problems import answer_to

            result = answer_to(error, line).proxy_result()
        result["headers"] |= {"x-request-id": request_id, "x-execution-environment": self.environment_id}
        if line.get("method") == "HEAD":
            result["body"] = ""
        self._log(line, result["statusCode"], started)
        return result

    def _answer(self, event: Any, deadline: float, line: dict[str, Any]) -> Answer:
        request = events.read(event)
        request.deadline = deadline
        line["method"] = request.method
        template = self._match(request)
        line["route"] = template
        route = self.routes.get(f"{_read_as(request.method)} {template}")
        if route is not None:
            return route(request)
        from common.route_matching import refused

        return refused(self.routes, template, request.method)

    def _match(self, request: Request) -> str:
        """The template of the route that is meant; the path's parameters are set. 404 if there is none."""
        method = _read_as(request.method)
        if request.route in self._templates:
            # an encoded slash stays within the parameter that API Gateway found it in
            request.segments = _filled(self._templates[request.route], request.parameters)
            if "" not in request.segments and f"{method} {request.route}" in self.routes:
                return request.route
        from common.route_matching import template_of

        return template_of(self._templates, self.routes, request, method)

    def _log(self, line: dict[str, Any], status: int, started: float) -> None:
        if _LEVELS[line["level"]] < self._level:
            return
        usage = self._database.usage
        line = {"timestamp": clock.text(clock.now())} | line
        line |= {
            "status": status,
            "duration_ms": round((time.monotonic() - started) * 1000, 2),
            "calls": usage.calls,
            "retries": usage.retries,
            "read_units": usage.read_units,
            "write_units": usage.write_units,
        }
        sys.stdout.write(_written(line) + "\n")


def _read_as(method: str) -> str:
    return "GET" if method == "HEAD" else method


def _filled(parts: list[str], parameters: Mapping[str, str]) -> list[str]:
    return [parameters.get(part[1:-1], "") if part.startswith("{") else part for part in parts]


def seconds_left(context: Any) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 if callable(remaining) else _DEFAULT_SECONDS
    return float(seconds - min(_ANSWER_SECONDS, seconds / 4))


def _new_id() -> str:
    return os.urandom(8).hex()

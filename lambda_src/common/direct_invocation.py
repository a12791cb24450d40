"""Invocations that are no HTTP requests: Terraform's or a schedule's {"action": "seed"}.

No HTTP event can imitate one: what a caller sends stands within the event, and API Gateway always adds more to it.
"""

from __future__ import annotations

import time

from common.router import App, seconds_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from common.router import Route
    from common.table import Database

    # Given the time.monotonic() by which it must have ended; its answer is the invocation's
    Action = Callable[[float], Mapping[str, Any]]


class AppWithActions(App):
    """An App that also carries out actions. One that fails raises: for Lambda the invocation has failed, then."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        actions: Mapping[str, Action],
        database: Database,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(routes, database, environment)
        self._actions = actions

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        name = event["action"] if isinstance(event, dict) and list(event) == ["action"] else None
        if not isinstance(name, str) or name not in self._actions:
            return super().__call__(event, context)
        started = time.monotonic()
        deadline = started + seconds_left(context)
        self._database.begin(deadline)
        line: dict[str, Any] = {
            "level": "INFO",
            "request_id": str(getattr(context, "aws_request_id", "")),
            "environment": self.environment_id,
            "action": name,
        }
        try:
            result = dict(self._actions[name](deadline))
        except Exception as error:
            line |= {"level": "ERROR", "error": f"{type(error).__name__}: {error}"}
            self._log(line, 500, started)
            raise
        self._log(line | result, 200, started)
        return result

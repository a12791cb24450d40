"""The /_local/ endpoints: what the emulator says about itself, and what tests may ask of it.

GET  /_local/health
GET  /_local/environments
GET  /_local/index-changes                                every index that UpdateTable added, changed or removed
GET  /_local/iam                                          every decision about functions' calls, with counts
POST /_local/functions/<name>/replace-environments        the next invocation is a cold start
"""

from __future__ import annotations

import datetime
import os
import re

from scripts.local_aws import dynamodb_indexes
from scripts.local_aws.environments import Fleet
from scripts.local_aws.roles import Roles
from scripts.local_aws.settings import ACCOUNT_ID, Settings

_REPLACE = re.compile(r"^/_local/functions/([^/]+)/replace-environments$")

Answer = tuple[int, dict[str, object]]


class LocalEndpoints:
    def __init__(self, settings: Settings, ports: tuple[int, int], fleet: Fleet, roles: Roles) -> None:
        self._settings = settings
        self._port, self._api_port = ports
        self._fleet = fleet
        self._roles = roles
        self._started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    def handle(self, method: str, path: str, _body: bytes) -> Answer:
        if method == "GET" and path == "/_local/health":
            return 200, self.health()
        if method == "GET" and path == "/_local/environments":
            return 200, {"environments": self._fleet.describe()}
        if method == "GET" and path == "/_local/index-changes":
            return 200, {"changes": list(dynamodb_indexes.changes)}
        if method == "GET" and path == "/_local/iam":
            return 200, {"decisions": self._roles.decisions.list()}
        replace = _REPLACE.match(path)
        if method == "POST" and replace:
            return 200, {"function": replace[1], "replaced": self._fleet.retire(replace[1])}
        return 404, {"message": f"There is no {method} {path}; see the top of local_endpoints.py for what there is."}

    def health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "pid": os.getpid(),
            "port": self._port,
            "api_port": self._api_port,
            "account_id": ACCOUNT_ID,
            "started_at": self._started,
            "data_dir": str(self._settings.data_dir),
            "environments": self._fleet.counts(),
        }

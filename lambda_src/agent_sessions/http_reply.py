"""The reply backend that asks an HTTP service, the agent itself. README.md is the contract of that call."""

from __future__ import annotations

import json
import re
import time

from agent_sessions.api_key import ApiKey
from agent_sessions.backends import ReplyFailed
from common import settings
from common.bounded_connection import BoundedConnection
from common.exact_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_SECONDS = 20.0
# A reply must fit into an item of 400 KB
MAXIMUM_ANSWER_BYTES = 350_000
# Kept back from the invocation's time to store the reply, or to say that there is none
STORING_SECONDS = 1.5
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HttpBackend:
    def __init__(self, environment: Mapping[str, str]) -> None:
        url = settings.required(environment, "API_SERVER_URL")
        try:
            if not re.fullmatch("[!-~]+", url):
                raise ValueError
            self._connection = BoundedConnection(url, MAXIMUM_ANSWER_BYTES)
        except ValueError:
            # its text holds the address, and that may hold a password
            raise RuntimeError("API_SERVER_URL must be https://host:port/path, without user and password") from None
        if not self._connection.secure and self._connection.host not in _LOOPBACK:
            raise RuntimeError("API_SERVER_URL must begin with https://: the key and the messages would go unencrypted")
        self._seconds = float(environment.get("API_SERVER_TIMEOUT_SECONDS") or DEFAULT_SECONDS)
        self._key = ApiKey(environment)

    def reply(self, asked: Mapping[str, Any], deadline: float) -> str:
        until = min(time.monotonic() + self._seconds, deadline - STORING_SECONDS)
        body = dumps(dict(asked)).encode()
        key = self._key.get(until)
        status, headers, content = self._send(body, asked, key, until)
        if status in (401, 403) and (other := self._key.renewed(until)) != key:
            status, headers, content = self._send(body, asked, other, until)
        return _reply(status, headers, content)

    def _send(self, body: bytes, asked: Mapping[str, Any], key: str, until: float) -> tuple[int, dict[str, str], bytes]:
        seconds = until - time.monotonic()
        if seconds <= 0:
            raise ReplyFailed("no time was left to ask for a reply")
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            # asking again for a reply to the same message must not do its work again
            "idempotency-key": asked["messageId"],
        }
        try:
            return self._connection.call(headers, body, seconds)
        except OSError as error:
            # its text could hold what the service sent
            raise ReplyFailed(f"the call failed: {type(error).__name__}") from None


def _reply(status: int, headers: Mapping[str, str], content: bytes) -> str:
    """Of what the service answers nothing else goes anywhere, not even into the log."""
    if status != 200:
        raise ReplyFailed(f"the service answered {status}")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ReplyFailed("the service's answer is not said to be application/json")
    if len(content) > MAXIMUM_ANSWER_BYTES:
        raise ReplyFailed(f"the service's answer has more than {MAXIMUM_ANSWER_BYTES} bytes")
    try:
        answer = json.loads(content)
        found = answer["reply"] if isinstance(answer, dict) else None
        if isinstance(found, str) and found.strip() and found.encode():
            return found
    except (ValueError, KeyError, RecursionError):
        pass
    raise ReplyFailed('the service\'s answer is not {"reply": "…"}')

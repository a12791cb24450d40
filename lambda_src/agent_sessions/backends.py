"""Where the agent's replies come from: REPLY_BACKEND names it."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Backend(Protocol):
        def reply(self, asked: Mapping[str, Any], deadline: float) -> str:
            """The agent's reply, not empty.

            `asked` has tenantId, userId, sessionId, messageId and message, and may have locationId and metadata.
            ReplyFailed if there is none by the time.monotonic() `deadline`, with what it takes to store it left over.
            """


class ReplyFailed(Exception):  # noqa: N818 - it names what happened
    """There is no reply; the message says why, for the log."""


def of(environment: Mapping[str, str]) -> Backend:
    name = environment.get("REPLY_BACKEND") or "echo"
    if name == "echo":
        from agent_sessions import echo

        return echo
    if name == "http":
        from agent_sessions.http_reply import HttpBackend

        return HttpBackend(environment)
    raise RuntimeError(f"REPLY_BACKEND is {name!r}; it must be echo or http")

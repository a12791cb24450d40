"""Every exception as an answer: problem details (RFC 9457).

Apart from the router, as all that a good first request does not need is apart: source is compiled at each cold start.
"""

from __future__ import annotations

from common.errors import ConditionFailed, InvalidValue, ItemTooLarge, Problem, TableError, Throttled, Unavailable
from common.events import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


def answer_to(error: Exception, line: dict[str, Any]) -> Answer:
    """The answer; what the log has to know, and the caller has not, is added to its line."""
    if not isinstance(error, Problem):
        problem = _problem(error)
        if problem.status >= 429:
            line["level"] = "WARN" if problem.status == 429 else "ERROR"
            line["error"] = failure(error)
        if problem.status == 500:
            import traceback

            line["stack"] = traceback.format_tb(error.__traceback__)
        error = problem
    elif error.status >= 500:
        line["level"] = "ERROR"
        line["error"] = f"{error.detail}: {error.__cause__}" if error.__cause__ else error.detail
    body: dict[str, Any] = {
        "type": error.type,
        "title": _TITLES[error.status],
        "status": error.status,
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [dict(one) for one in error.errors]
    body |= getattr(error, "members", {})
    return Answer(error.status, body, {**error.headers, "content-type": "application/problem+json"})


def failure(error: Exception) -> str:
    """What the log says of it. What Python says of an error of ours may hold what a caller sent: then where it was."""
    return f"{type(error).__name__}: {error}" if isinstance(error, TableError) else type(error).__name__


def _problem(error: Exception) -> Problem:
    """What a caller is told of an exception: nothing of tables, roles or code."""
    if isinstance(error, InvalidValue):
        return Problem(400, str(error))
    if isinstance(error, ConditionFailed):
        return Problem(409, "it was changed at the same time by others; read it again and repeat")
    if isinstance(error, ItemTooLarge):
        return Problem(413, "what is to be stored is larger than the 400 KB that one record can hold")
    if isinstance(error, Throttled):
        return Problem(429, "the data store is throttling; try again later", headers={"retry-after": "1"})
    if isinstance(error, Unavailable):
        return Problem(503, "the data store is not available; try again later", headers={"retry-after": "2"})
    return Problem(500, "an error that is not yours; the log holds it under the x-request-id of this answer")

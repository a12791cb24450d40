"""What can go wrong: a `Problem` is an answer to the caller, a `TableError` comes from the data layer."""

# ruff: noqa: N818 - they name what happened

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Problem(Exception):
    """An answer that tells the caller what is wrong (RFC 9457 problem details).

    `errors` holds one entry a bad field: {"pointer": "#/profile/id", "detail": …} for the body,
    {"parameter": "limit", "detail": …} for the query or path, {"header": "if-match", "detail": …} for a header.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        type_: str = "about:blank",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.type = type_


class InvalidValue(ValueError):
    """A value that DynamoDB can't hold, such as NaN or a number of 39 digits; the message is fit for the caller."""


class TableError(Exception):
    """The data layer could not do what was asked."""


class ConditionFailed(TableError):
    """A write found something else than it expected; nothing was written.

    `positions` are the failed changes; `found` holds the stored item, None for no item, of those for which it is known.
    """

    def __init__(self, positions: Sequence[int], found: Mapping[int, dict[str, Any] | None] | None = None) -> None:
        super().__init__(f"expectation of change {', '.join(map(str, positions))} not met")
        self.positions = tuple(positions)
        self.found = found or {}


class ItemTooLarge(TableError):
    """An item is over DynamoDB's 400 KB."""


class Refused(TableError):
    """DynamoDB refused the request as such (bad key, missing permission, missing table): a defect, never a retry."""


class Throttled(TableError):
    """DynamoDB still throttled after every retry that the remaining time allowed."""


class Unavailable(TableError):
    """DynamoDB did not answer, or not in time, after every retry that the remaining time allowed."""

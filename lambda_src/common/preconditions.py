"""`ETag`, `If-Match` and `If-None-Match` (RFC 9110) over a record's version."""

from __future__ import annotations

from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from common.events import Request


def etag(version: int) -> str:
    return f'"{version}"'


def check(request: Request, version: int | None) -> None:
    """412 unless a write may go on over what is there now: a record of this version, or None for nothing."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    # strong comparison: a weak tag never matches
    if (match is not None and not _names(match, version)) or (
        none_match is not None and _names(none_match.replace("W/", ""), version)
    ):
        now = "it does not exist" if version is None else f"its version now is {version}"
        raise Problem(
            412,
            f"if-match or if-none-match does not hold: {now}",
            headers={} if version is None else {"etag": etag(version)},
        )


def not_modified(request: Request, version: int) -> bool:
    """Whether a reader has this version already."""
    return _names(request.headers.get("if-none-match", "").replace("W/", ""), version)


def _names(tags: str, version: int | None) -> bool:
    if version is None:
        return False
    return tags.strip() == "*" or etag(version) in [tag.strip() for tag in tags.split(",")]

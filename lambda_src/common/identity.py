"""Who calls, as far as API Gateway or the Function URL vouches for it."""

from __future__ import annotations

from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

    from common.events import Request


def has_token(request: Request) -> bool:
    """Whether the caller is who a verified token says, and no trusted service that may speak for anybody."""
    return claims(request) is not None


def agreed(request: Request, claim: str, stated: str | None, what: str) -> str | None:
    """A verified token's `claim`, or what the caller stated where no token stands behind the request (IAM, none).

    403 if the token lacks the claim, or if something else was stated beside it; `what` names that in the answer.
    """
    found = claims(request)
    if found is None:
        return stated
    value = found.get(claim)
    if not is_named(value):
        raise Problem(403, f"the token says nothing of the {what}")
    if value[0] == "[" and value[-1] == "]":
        # which is how API Gateway hands a list over: several are as good as none
        raise Problem(403, f"the token names no single {what}")
    if stated is not None and stated != value:
        raise Problem(403, f"the {what} is not the token's")
    return value


def claims(request: Request) -> Mapping[str, Any] | None:
    """Of a token that API Gateway has verified; None where there is none."""
    authorizer = part(request.context, "authorizer")
    if "jwt" in authorizer:
        return part(part(authorizer, "jwt"), "claims")
    return part(authorizer, "claims") if "claims" in authorizer else None


def is_named(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}

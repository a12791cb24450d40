"""Who calls, as far as API Gateway or the Function URL vouches for it."""

from __future__ import annotations

from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

    from common.events import Request


def caller(request: Request) -> str:
    """One text a caller: a token's issuer and subject, or the role or user behind a signature; empty without either.

    A role's id is taken without the session's name, which changes with each environment of a calling function.
    400 for a token that names neither subject nor client: all that bear such would be one caller.
    """
    claims = _claims(request)
    if claims is not None:
        subject = next((name for name in ("sub", "client_id", "azp") if _is_named(claims.get(name))), None)
        if subject is None:
            raise Problem(400, "an Idempotency-Key needs a token that says whose it is")
        of_client = "" if subject == "sub" else f"{subject} "
        return f"{claims.get('iss', '')} {of_client}{claims[subject]}"
    signed_by = _part(_part(request.context, "authorizer"), "iam").get("callerId") or _part(
        request.context, "identity"
    ).get("caller")
    return str(signed_by or "").partition(":")[0]


def has_token(request: Request) -> bool:
    """Whether the caller is who a verified token says, and no trusted service that may speak for anybody."""
    return _claims(request) is not None


def agreed(request: Request, claim: str, stated: str | None, what: str) -> str | None:
    """A verified token's `claim`, or what the caller stated where no token stands behind the request (IAM, none).

    403 if the token lacks the claim, or if something else was stated beside it; `what` names that in the answer.
    """
    claims = _claims(request)
    if claims is None:
        return stated
    value = claims.get(claim)
    if not _is_named(value):
        raise Problem(403, f"the token says nothing of the {what}")
    if value[0] == "[" and value[-1] == "]":
        # which is how API Gateway hands a list over: several are as good as none
        raise Problem(403, f"the token names no single {what}")
    if stated is not None and stated != value:
        raise Problem(403, f"the {what} is not the token's")
    return value


def _claims(request: Request) -> Mapping[str, Any] | None:
    """Of a token that API Gateway has verified; None where there is none."""
    authorizer = _part(request.context, "authorizer")
    if "jwt" in authorizer:
        return _part(_part(authorizer, "jwt"), "claims")
    return _part(authorizer, "claims") if "claims" in authorizer else None


def _is_named(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}

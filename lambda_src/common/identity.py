"""Who calls, as far as API Gateway or the Function URL vouches for it."""

from __future__ import annotations

from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.events import Request


def caller(request: Request) -> str:
    """One text a caller: a token's issuer and subject, or the role or user behind a signature; empty without either.

    A role's id is taken without the session's name, which changes with each environment of a calling function.
    """
    claims = _claims(request) or {}
    if "sub" in claims:
        return f"{claims.get('iss', '')} {claims['sub']}"
    signed_by = _part(_part(request.context, "authorizer"), "iam").get("callerId") or _part(
        request.context, "identity"
    ).get("caller")
    return str(signed_by or "").partition(":")[0]


def agreed(request: Request, claim: str, stated: str | None, what: str) -> str | None:
    """A verified token's `claim`, or what the caller stated where no token stands behind the request (IAM, none).

    403 if the token lacks the claim, or if something else was stated beside it; `what` names that in the answer.
    """
    claims = _claims(request)
    if claims is None:
        return stated
    value = claims.get(claim)
    if not isinstance(value, str) or not value.strip():
        raise Problem(403, f"the token says nothing of the {what}")
    if stated is not None and stated != value:
        raise Problem(403, f"the {what} is not the token's")
    return value


def _claims(request: Request) -> Mapping[str, Any] | None:
    """Of a token that API Gateway has verified; None where there is none."""
    authorizer = _part(request.context, "authorizer")
    found = _part(authorizer, "jwt") or authorizer
    return _part(found, "claims") if "claims" in found else None


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}

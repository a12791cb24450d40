"""Who calls, as far as API Gateway or the Function URL vouches for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.events import Request


def caller(request: Request) -> str:
    """One text a caller: a token's issuer and subject, or the role or user behind a signature; empty without either.

    A role's id is taken without the session's name, which changes with each environment of a calling function.
    """
    authorizer = _part(request.context, "authorizer")
    claims = _part(_part(authorizer, "jwt"), "claims") or _part(authorizer, "claims")
    if "sub" in claims:
        return f"{claims.get('iss', '')} {claims['sub']}"
    signed_by = _part(authorizer, "iam").get("callerId") or _part(request.context, "identity").get("caller")
    return str(signed_by or "").partition(":")[0]


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}

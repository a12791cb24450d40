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
    authorizer = request.context.get("authorizer") or {}
    claims: Mapping[str, Any] = (authorizer.get("jwt") or {}).get("claims") or authorizer.get("claims") or {}
    if "sub" in claims:
        return f"{claims.get('iss', '')} {claims['sub']}"
    signed_by = (authorizer.get("iam") or {}).get("callerId") or (request.context.get("identity") or {}).get("caller")
    return str(signed_by or "").partition(":")[0]

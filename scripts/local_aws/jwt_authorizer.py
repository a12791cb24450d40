"""JWT authorizers: which tokens API Gateway takes, and what of them it hands to the function.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from scripts.local_aws.http_api_payload import HttpRequest
from scripts.local_aws.token_issuers import IssuerError, Issuers

# "Currently, only RSA-based algorithms are supported": none and a key shared with the issuer (HS256) never are.
ALGORITHMS = ("RS256", "RS384", "RS512")
_HEADER, _QUERY = "$request.header.", "$request.querystring."


class TokenError(Exception):
    """Why a request is not let through: 401 or, for want of a scope, 403.

    The texts are those that API Gateway is known to answer, in `www-authenticate`, where it is known:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    """

    def __init__(self, description: str, *, status: int = 401, scopes: Sequence[str] = ()) -> None:
        super().__init__(description)
        self.status = status
        error = "invalid_token" if status == 401 else "insufficient_scope"
        self.challenge = f'Bearer scope="{" ".join(scopes)}" error="{error}" error_description="{description}"'


class MissingTokenError(TokenError):
    def __init__(self) -> None:
        super().__init__("the token is missing")
        self.challenge = "Bearer"


@dataclasses.dataclass(frozen=True)
class Authorizer:
    """What an authorizer of an API says: `identity_source` such as `$request.header.Authorization`."""

    issuer: str
    audiences: Sequence[str]
    identity_source: str


def authorize(
    request: HttpRequest,
    authorizer: Authorizer,
    scopes: Sequence[str],
    issuers: Issuers,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """The part `authorizer` of the event's requestContext. Raises TokenError.

    `scopes`: those of the route, of which the token must have one, if there are any.
    """
    claims = verified(_token(request, authorizer.identity_source), authorizer, issuers, now())
    if scopes and not set(scopes) & set(granted_scopes(claims)):
        raise TokenError("the token has none of the route's scopes", status=403, scopes=scopes)
    return {
        "jwt": {
            "claims": {name: claim_text(value) for name, value in claims.items()},
            "scopes": list(scopes) or None,
        }
    }


def verified(token: str, authorizer: Authorizer, issuers: Issuers, now: float) -> dict[str, Any]:
    """The claims of a token, once its signature and they themselves have been checked. Raises TokenError."""
    from joserfc import jws
    from joserfc.errors import JoseError

    header, claims = _decoded(token)
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise TokenError("signing method is invalid")
    if claims.get("iss") != authorizer.issuer:
        raise TokenError("issuer does not match")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise TokenError("the token names no key")
    try:
        key = issuers.key(authorizer.issuer, key_id)
    except IssuerError as error:
        raise TokenError(str(error)) from error
    if key is None:
        raise TokenError("the token is signed with a key that its issuer does not publish")
    try:
        jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError) as error:
        raise TokenError("signature is invalid") from error
    _check_claims(claims, authorizer.audiences, now)
    return claims


def granted_scopes(claims: Mapping[str, Any]) -> list[str]:
    """Of `scope`, or of `scp` where there is none: a text with blanks between, or a list."""
    stated = claims.get("scope", claims.get("scp"))
    if isinstance(stated, str):
        return stated.split()
    return [scope for scope in stated if isinstance(scope, str)] if isinstance(stated, list) else []


def claim_text(value: Any) -> str:
    """A function gets every claim as text; a list becomes `[a b]`, whatever blanks its elements have."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(claim_text, value))}]"
    return json.dumps(value, separators=(",", ":"))


def _token(request: HttpRequest, identity_source: str) -> str:
    """ "The identitySource can include only the token, or the token prefixed with Bearer"."""
    stated: str | None = None
    if identity_source.startswith(_HEADER):
        name = identity_source.removeprefix(_HEADER).lower()
        stated = ",".join(value for key, value in request.headers if key == name)
    elif identity_source.startswith(_QUERY):
        name = identity_source.removeprefix(_QUERY)
        stated = next((value for key, value in parse_qsl(request.query) if key == name), None)
    kind, _, rest = (stated or "").strip().partition(" ")
    token = rest.strip() if kind.lower() == "bearer" else (stated or "").strip()
    if not token:
        raise MissingTokenError
    return token


def _decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, as they are claimed: nothing is verified yet."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("unable to decode the token")
    try:
        header, claims = (_json_object(part) for part in parts[:2])
    except ValueError as error:
        raise TokenError("unable to decode the token") from error
    return header, claims


def _json_object(part: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True).decode()
        value = json.loads(text, parse_constant=refuse)
    except (binascii.Error, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _check_claims(claims: Mapping[str, Any], audiences: Sequence[str], now: float) -> None:
    # client_id counts only where there is no aud: Cognito's access tokens have none.
    stated = claims.get("aud", claims.get("client_id"))
    named = stated if isinstance(stated, list) else [stated]
    if not any(isinstance(one, str) and one in audiences for one in named):
        raise TokenError("the token does not have a valid audience")
    if not _is_number(claims.get("exp")) or claims["exp"] <= now:
        raise TokenError("the token has expired")
    for claim in ("nbf", "iat"):
        if claim in claims and (not _is_number(claims[claim]) or claims[claim] > now):
            raise TokenError("the token is not valid yet" if claim == "nbf" else "the token was issued in the future")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

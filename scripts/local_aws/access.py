"""Whether a role's credentials may make a call, and whether a token gets them.

Calls with the local client's key, or a user's, are not checked. DynamoDB's are checked where they arrive
(moto_dynamodb), the front door's likewise (http_api).
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from scripts.local_aws.actions import Call, needs, parse
from scripts.local_aws.iam_policy import decide
from scripts.local_aws.roles import Roles, Session
from scripts.local_aws.settings import ACCOUNT_ID

Answer = tuple[int, list[tuple[str, str]], bytes]
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"


class Access:
    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    def refusal(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """The service's own refusal of a call; None when it may be made."""
        if b"Action=" + _WEB_IDENTITY.encode() in body:
            return _untrusted(parse(method, target, headers, body))
        call = parse(method, target, headers, body)
        session = self._roles.find(call.access_key_id) if call.access_key_id else None
        if session is None or call.service in ("dynamodb", "execute-api"):
            return None
        if headers.get("x-amz-security-token") != session.session_token:
            return _refused(call, "The security token included in the request is invalid.", code="InvalidClientTokenId")
        general = {
            "aws:principalarn": [session.role_arn],
            "aws:principalaccount": [ACCOUNT_ID],
            "aws:requestedregion": [call.region],
            "aws:securetransport": ["false"],
            "aws:sourceip": ["127.0.0.1"],
        }
        refused: Answer | None = None
        for action, resource, context in needs(call):
            decision = self._roles.allows(session.role_arn, session.partition, action, resource, general | context)
            if decision != "allow" and refused is None:
                refused = _refused(call, _message(session, action, resource, decision))
        return refused


def _message(session: Session, action: str, resource: str, decision: str) -> str:
    why = (
        "with an explicit deny in an identity-based policy"
        if decision == "deny"
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {session.arn} is not authorized to perform: {action} on resource: {resource} {why}"


def _untrusted(call: Call) -> Answer | None:
    """Refuses a token that the role does not trust. Nobody's signature is checked: there is no GitHub here."""
    from moto.iam.models import iam_backends

    claims = _claims(call.text("WebIdentityToken"))
    backend = iam_backends[ACCOUNT_ID][call.partition]
    host = str(claims.get("iss", "")).removeprefix("https://")
    provider = backend.open_id_providers.get(call.arn("iam", f"oidc-provider/{host}", region=False))
    if provider is None:
        message = "No OpenIDConnect provider found in your account for " + (str(claims.get("iss", "")) or "this token")
        return _refused(call, message, code="InvalidIdentityToken", status=400)
    if claims.get("aud") not in provider.client_id_list:
        return _refused(call, "Incorrect token audience", code="InvalidIdentityToken", status=400)
    if float(claims.get("exp", time.time() + 1)) < time.time():
        return _refused(call, "Token expired", code="ExpiredTokenException", status=400)
    role = next((each for each in backend.roles.values() if each.arn == call.text("RoleArn")), None)
    trust = json.loads(role.assume_role_policy_document) if role else {}
    trusting = [
        statement
        for statement in _as_list(trust.get("Statement", []))
        if provider.arn in _as_list((statement.get("Principal") or {}).get("Federated", []))
    ]
    context = {f"{host}:{name}".lower(): [str(value)] for name, value in claims.items()}
    if decide([json.dumps({"Statement": trusting})], f"sts:{_WEB_IDENTITY}", "*", context) != "allow":
        return _refused(call, f"Not authorized to perform sts:{_WEB_IDENTITY}")
    return None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _refused(call: Call, message: str, *, code: str = "AccessDenied", status: int = 403) -> Answer:
    """In the shape of the service's own errors."""
    request = str(uuid.uuid4())
    text = escape(message)
    xml = [("Content-Type", "text/xml")]
    if call.service == "s3":
        return status, xml, f"<Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    if call.service == "ec2":
        code = "UnauthorizedOperation" if code == "AccessDenied" else code
        errors = f"<Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
        return status, xml, f"<Response>{errors}<RequestID>{request}</RequestID></Response>".encode()
    if call.form:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request}</RequestId></ErrorResponse>"
        return status, xml, body.encode()
    code = "AccessDeniedException" if code == "AccessDenied" else code
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code), ("x-amzn-RequestId", request)]
    return (
        400 if call.method == "POST" and call.path == "/" and call.service != "lambda" else status,
        headers,
        json.dumps({"__type": code, "message": message, "Message": message}).encode(),
    )

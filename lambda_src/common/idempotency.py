"""Creating once however often it is asked for: `Idempotency-Key`, remembered in the transaction that creates.

A marker holds the first answer and a digest of the request. It is scoped by system, route, caller and the owner of what
is created, and lives in the one table that all systems share, until its `ttl`.
"""

from __future__ import annotations

from common import clock, identity
from common.digest import sha256
from common.errors import ConditionFailed, Problem
from common.events import Answer, bad_header
from common.exact_json import dumps
from common.json_input import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.change import Change
    from common.events import Request
    from common.table import Database, Table

    # Called with the answer that is about to become true: the changes to make in the same transaction
    Also = Callable[[Answer], list[Change]]

KEPT_HEADERS = ("etag", "location")
KEY_REUSED = "urn:problem:idempotency-key-reused"


class Idempotency:
    def __init__(self, database: Database, table_name: str, ttl_seconds: int, system: str) -> None:
        self._table: Table = database.table(table_name, {"id": "S"})
        self._ttl_seconds = ttl_seconds
        self._system = system

    def run(
        self, request: Request, route: str, body: Any, work: Callable[[Also], Answer], owner: str | None = None
    ) -> Answer:
        """`work`'s answer, or the first one if there was one under the request's Idempotency-Key.

        `owner` is whose the record is, where records are somebody's: a caller may speak for many, and so may a token's
        subject where another claim names the user.
        `work` hands its answer to the function it is given and writes the changes it gets back with its own.
        """
        key = request.headers.get("idempotency-key")
        if key is None:
            return work(lambda _: [])
        if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
            raise bad_header("idempotency-key", "must be 1 to 255 printable ASCII characters")
        # a digest, since a route may hold an id of any length
        marker_id = f"{self._system}#{_digest([route, caller(request), *([] if owner is None else [owner]), key])}"
        digest = _digest(body)
        if first := self._first_answer(marker_id, digest):
            return first
        try:
            return work(lambda answer: [self._marker(marker_id, digest, answer)])
        except ConditionFailed:
            # the same request ran at the same time and was first
            if first := self._first_answer(marker_id, digest):
                return first
            raise

    def _first_answer(self, marker_id: str, digest: str) -> Answer | None:
        marker = self._table.get({"id": marker_id})
        if marker is None or clock.is_past(marker["ttl"]):
            return None
        if marker["request"] != digest:
            raise Problem(
                409,
                "this idempotency-key was used with another request; use a new key for a new request",
                type_=KEY_REUSED,
            )
        return Answer(marker["status"], loads(marker["body"]), {**marker["headers"], "idempotency-replayed": "true"})

    def _marker(self, marker_id: str, digest: str, answer: Answer) -> Change:
        now = clock.now()
        marker = {
            "id": marker_id,
            "ttl": clock.seconds_up(now) + self._ttl_seconds,
            "request": digest,
            "status": answer.status,
            "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
            "body": dumps(answer.body),
        }
        return self._table.put(marker, expect={"id": None}, or_expired_at=now // 1_000_000)


def caller(request: Request) -> str:
    """One text a caller: a token's issuer and subject, or the role or user behind a signature; empty without either.

    A role's id is taken without the session's name, which changes with each environment of a calling function.
    400 for a token that names neither subject nor client: all that bear such would be one caller.
    """
    claims = identity.claims(request)
    if claims is not None:
        subject = next((name for name in ("sub", "client_id", "azp") if identity.is_named(claims.get(name))), None)
        if subject is None:
            raise Problem(400, "an Idempotency-Key needs a token that says whose it is")
        of_client = "" if subject == "sub" else f"{subject} "
        return f"{claims.get('iss', '')} {of_client}{claims[subject]}"
    by_iam = identity.part(identity.part(request.context, "authorizer"), "iam")
    signed_by = by_iam.get("callerId") or identity.part(request.context, "identity").get("caller")
    return str(signed_by or "").partition(":")[0]


def _digest(value: Any) -> str:
    return sha256(dumps(_sorted(value)).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value

"""Two worlds that differ in one thing only: whether somebody else is there.

The same requests are sent to both, while time stands still and chance is the same: then every answer must be the same,
byte for byte. Nothing has to be normalised, neither request ids nor times nor ids that are made, and an id of somebody
else is in the other world one that does not exist.
"""

import hashlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest import mock

from common import clock, paging
from scripts import item_digest
from tests.contract.application import Application
from tests.contract.systems import SYSTEMS, Operation, operations
from tests.unit.http_events import Context

START = clock.now()
ISSUER = "https://issuer.example"
# Systems whose records belong to somebody. What the others hold is everybody's, only Idempotency-Keys are one's own.
OWNED = ("agent_sessions", "chat_sessions")
Place = tuple[str, str]  # path, query, header or body, and a name
STATED = {"tenant": "x-tenant-id", "user": "x-user-id"}


class Person(NamedTuple):
    """`trusted`: named in headers by a service that signs its requests; otherwise in the claims of a token."""

    tenant: str
    user: str
    trusted: bool = False

    @property
    def claims(self) -> dict[str, str] | None:
        return None if self.trusted else {"iss": ISSUER, "sub": self.user, "tenantId": self.tenant}

    @property
    def headers(self) -> dict[str, str]:
        return {STATED["tenant"]: self.tenant, STATED["user"]: self.user} if self.trusted else {}


class Sent(NamedTuple):
    method: str
    path: str
    body: Any
    query: dict[str, str]
    headers: dict[str, str]


class World:
    def __init__(self, application: Application) -> None:
        self.application = application
        # a list's scope, as its route last named it, for tokens that are forged
        self.scope: tuple[str, ...] = ()
        application.app.environment_id = "0" * 16

    def answer(self, sent: Sent, person: Person, step: int, kind: str = "http") -> dict[str, Any]:
        """All that the caller gets: status, headers and body."""
        real = paging.position

        def position(request: Any, *scope: str) -> Any:
            self.scope = scope
            return real(request, *scope)

        event = self.application.event(
            sent.method,
            sent.path,
            kind=kind,
            claims=person.claims,
            body=sent.body,
            query=sent.query,
            headers=sent.headers,
        )
        with _same_time_and_chance(step), mock.patch.object(paging, "position", position):
            return self.application.app(event, Context())  # type: ignore[no-any-return]

    def items(self) -> "Counter[bytes]":
        """The digest of every item of every table, and how many there are of it."""
        return Counter(digest for digest, _ in self.digested())

    def digested(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        for name, items in self.application.whole_tables().items():
            yield from ((name.encode() + item_digest.digest(item), item) for item in items)


@contextmanager
def _same_time_and_chance(step: int) -> Iterator[None]:
    real, me, drawn = os.urandom, threading.get_ident(), iter(range(10**6))

    def urandom(count: int) -> bytes:
        # two transactions need two tokens, which only DynamoDB is shown
        if threading.get_ident() != me or sys._getframe(1).f_globals["__name__"] == "common.dynamodb_writing":
            return real(count)
        return hashlib.shake_256(f"{step} {next(drawn)}".encode()).digest(count)

    clock._made = step * 1000
    with (
        mock.patch.object(os, "urandom", urandom),
        mock.patch.object(clock, "now", return_value=START + step * 1_000_000),
    ):
        yield


class Life:
    """The requests of one person to every route of a system, each made from what the answers before it linked to."""

    def __init__(self, system: str, person: Person) -> None:
        self.person = person
        self.operations = [one for one in operations() if one.system == system]
        self._links: dict[str, dict[str, str]] = {}

    def request(self, operation: Operation, replaced: Mapping[Place, str] = MappingProxyType({})) -> Sent:
        """One that is the person's own, but for what is put in its places."""
        person = {"tenantId": self.person.tenant, "userId": self.person.user, "user_id": self.person.user}
        linked = self._links.get(operation.declared["operationId"], {})
        path, body = operation.path, operation.body
        for name, example in operation.parameters("path").items():
            value = replaced.get(("path", name)) or person.get(name) or linked.get(name) or example
            path = path.replace("{" + name + "}", value)
        if body is not None:
            body = {name: person.get(name, value) for name, value in body.items()}
            for (where, name), value in replaced.items():
                if where == "body":
                    body = _with(body, name.split("/"), value)
        return Sent(
            operation.method,
            path,
            body,
            operation.parameters("query")
            | {name: value for (where, name), value in replaced.items() if where == "query"},
            self.person.headers | {name: value for (where, name), value in replaced.items() if where == "header"},
        )

    def learn(self, operation: Operation, answer: Mapping[str, Any]) -> None:
        """The links of an answer, see the contract's."""
        declared = operation.declared["responses"].get(str(answer["statusCode"]), {})
        for link in declared.get("links", {}).values():
            body = json.loads(answer["body"])
            self._links[link["operationId"]] = {
                name: str(body[source.removeprefix("$response.body#/")]) for name, source in link["parameters"].items()
            }


def places(operation: Operation) -> list[Place]:
    """Wherever a request says something: path, query, headers that any route knows, and every text of the body."""
    contract = SYSTEMS[operation.system].contract
    own = [*contract.document["paths"][operation.path].get("parameters", []), *operation.declared.get("parameters", [])]
    declared = list(map(contract.resolved, own))
    for _, _, other in contract.operations():
        declared += [one for one in map(contract.resolved, other.get("parameters", [])) if one["in"] == "header"]
    found = {(one["in"], one["name"].lower() if one["in"] == "header" else one["name"]) for one in declared}
    found |= {("query", "next_token"), *(("header", name) for name in ("idempotency-key", *STATED.values()))}
    if operation.body is not None:
        content = contract.resolved(operation.declared["requestBody"])["content"]["application/json"]
        found |= {("body", name) for name in contract.resolved(content["schema"])["properties"]}
        found |= {("body", name) for name in _texts(operation.body)}
    return sorted(found)


def _texts(body: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _texts(value, f"{at}{name}/")
        elif isinstance(value, str):
            yield at + name


def _with(body: Mapping[str, Any], path: list[str], value: str) -> dict[str, Any]:
    name, *rest = path
    inner = body.get(name)
    return {**body, name: _with(inner, rest, value) if rest and isinstance(inner, dict) else value}


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of members left out."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(one)

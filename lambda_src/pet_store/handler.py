"""The routes of the pet store and, for AgentCore Gateway, its tools; openapi.yaml is the contract of both."""

from __future__ import annotations

import os
import time

from common import paging, preconditions, settings
from common.direct_invocation import AppWithActions
from common.errors import Problem
from common.events import Answer, bad_parameter
from common.router import seconds_left
from pet_store.store import MAXIMUM_ID_DIGITS, PetStore, number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.change import Number
    from common.events import Request
    from common.idempotency import Also
    from common.table import Database

# Where AgentCore Gateway names the tool that is called
TOOL_NAME = "bedrockAgentCoreToolName"
MAXIMUM_TYPE_BYTES = 2048


class PetRoutes:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._store = PetStore(
            database,
            settings.required(environment, "PET_STORE_TABLE_NAME"),
            settings.required(environment, "TYPE_PRICE_INDEX_NAME"),
            environment.get("ID_RANGE_INDEX_NAME", ""),
            is_seeded=environment.get("SEED", "true") == "true",
            id_block_size=int(environment.get("ID_BLOCK_SIZE") or 1),
        )
        self._database = database
        self._markers = settings.required(environment, "IDEMPOTENCY_TABLE_NAME")
        self._marker_seconds = int(environment.get("IDEMPOTENCY_TTL_SECONDS", "86400"))

    def list(self, request: Request) -> Answer:
        kind, low, high = request.one("type"), _price(request, "minPrice"), _price(request, "maxPrice")
        limit = paging.limit(request)
        if kind is None:
            for name, bound in (("minPrice", low), ("maxPrice", high)):
                if bound is not None:
                    raise bad_parameter(name, "needs a type beside it: prices are indexed for each type")
            scope: tuple[str, ...] = ("pets",)
            pets, after = self._store.page(limit, paging.position(request, *scope), request.deadline)
        else:
            if not 0 < len(kind.encode(errors="replace")) <= MAXIMUM_TYPE_BYTES:
                raise bad_parameter("type", f"must have 1 to {MAXIMUM_TYPE_BYTES} bytes")
            if low is not None and high is not None and low > high:
                raise bad_parameter("maxPrice", "must not be below minPrice")
            scope = ("pets", kind, str(low), str(high))
            start = paging.position(request, *scope)
            pets, after = self._store.of_type(kind, low, high, limit, start, request.deadline)
        return Answer(200, paging.page("pets", pets, after, scope))

    def get(self, request: Request) -> Answer:
        text = request.parameters["id"]
        if not (text.isascii() and text.isdigit()) or text != (text.lstrip("0") or "0"):
            raise bad_parameter("id", "must be a whole number, in digits")
        # 0 is the counter's
        pet = None if text == "0" or len(text) > MAXIMUM_ID_DIGITS else self._store.get(int(text))
        if pet is None:
            raise Problem(404, "there is no pet with this id")
        headers = {"etag": preconditions.etag(pet["version"])}
        # what an older application changes leaves the version as it is
        if pet["version"] and preconditions.not_modified(request, pet["version"]):
            return Answer(304, headers=headers)
        return Answer(200, pet, headers)

    def add(self, request: Request) -> Answer:
        from common.idempotency import Idempotency
        from pet_store import body

        sent = request.body()
        name, kind, price = body.pet(sent)

        def work(also: Also) -> Answer:
            return _added(self._store.add(name, kind, price, lambda pet: also(_added(pet))))

        idempotency = Idempotency(self._database, self._markers, self._marker_seconds, "pet_store")
        return idempotency.run(request, "POST /pets", sent, work)

    def seed(self, deadline: float) -> dict[str, Any]:  # noqa: ARG002 - the database knows it
        return self._store.take_over()


class PetStoreApp(AppWithActions):
    """An App that also answers the tool calls of an AgentCore Gateway."""

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        # only who invokes the function itself can set this: no HTTP request reaches it
        custom = getattr(getattr(context, "client_context", None), "custom", None)
        name = custom.get(TOOL_NAME) if isinstance(custom, dict) else None
        if name is None:
            return super().__call__(event, context)
        from pet_store import tools

        started = time.monotonic()
        deadline = started + seconds_left(context)
        self._database.begin(deadline)
        line: dict[str, Any] = {
            "level": "INFO",
            "request_id": str(getattr(context, "aws_request_id", "")),
            "environment": self.environment_id,
        }
        status, result = tools.answer(self.routes, name, event, deadline, line)
        self._log(line, status, started)
        return result


def build(environment: Mapping[str, str]) -> PetStoreApp:
    database = settings.database(environment)
    pets = PetRoutes(database, environment)
    routes = {"GET /pets": pets.list, "POST /pets": pets.add, "GET /pets/{id}": pets.get}
    return PetStoreApp(routes, {"seed": pets.seed}, database, environment)


def _price(request: Request, parameter: str) -> Number | None:
    text = request.one(parameter)
    if text is None:
        return None
    price = number_of(text)
    if price is None or price < 0:
        raise bad_parameter(parameter, "must be a number from 0, of at most 38 digits, such as 19.99")
    return price


def _added(pet: dict[str, Any]) -> Answer:
    return Answer(201, pet, {"etag": preconditions.etag(pet["version"]), "location": f"/pets/{pet['id']}"})


handler = build(os.environ)

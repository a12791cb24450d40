"""The pet store's function on one engine, called by HTTP events, directly, and as tools of a gateway."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from tests.contract.application import Answer, Application, Contract
from tests.contract.engines import Engine
from tests.unit.http_events import Context

NAMES = {
    "PET_STORE_TABLE_NAME": "PetStore",
    "TYPE_PRICE_INDEX_NAME": "type-price-index",
    "ID_RANGE_INDEX_NAME": "id-range-index",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from pet_store import handler
    from pet_store.store import new_pet

# Later versions of Python's runtime write text as it is
with mock.patch.dict(os.environ, {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}):
    RUNTIME = LambdaMarshaller()
CONTRACT = Contract(Path(handler.__file__).parent / "openapi.yaml")


class PetStore(Application):
    handler = handler
    contract = CONTRACT

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        super().__init__(engine, environment)
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.pets = self.database.table(environment["PET_STORE_TABLE_NAME"], {"id": "N"})

    def call(self, method: str, path: str, **request: Any) -> Answer:
        answer = super().call(method, path, **request)
        assert answer.status != 403, "only API Gateway refuses a caller"
        return answer

    def add(self, name: str = "Sweety", type_: str = "frog", price: Any = 20, **more: Any) -> Answer:
        return self.call("POST", "/pets", body={"name": name, "type": type_, "price": price}, **more)

    def pages(self, **query: Any) -> list[list[Any]]:
        """What every page of the list holds."""
        pages: list[list[Any]] = []
        token: str | None = None
        while token or not pages:
            sent = {name: str(value) for name, value in query.items()} | ({"next_token": token} if token else {})
            answer = self.call("GET", "/pets", query=sent)
            assert answer.status == 200, answer.text
            pages.append(answer.body["pets"])
            token = answer.body.get("next_token")
        return pages

    def ids(self, **query: Any) -> list[int]:
        return [pet["id"] for page in self.pages(**query) for pet in page]

    def act(self, event: Any, context: Any = None) -> Any:
        """An invocation with this event."""
        return self.app(event, context or Context())

    def tool(self, name: Any, arguments: Any) -> Any:
        """A tool call as an AgentCore Gateway makes it, through the JSON of Lambda's runtime in both directions."""
        context = Context()
        context.client_context = SimpleNamespace(custom={"bedrockAgentCoreToolName": name})  # type: ignore[attr-defined]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        result, kind = RUNTIME.marshal_response(self.app(RUNTIME.unmarshal_request(text), context))
        assert kind == "application/json"
        return json.loads(result.encode(), parse_float=Decimal)

    def store(self, *items: dict[str, Any]) -> None:
        """Write items past the function."""
        for item in items:
            self.database.write([self.pets.put(item)])

    def fill(self, ids: Sequence[int]) -> None:
        """Write many pets as an older application would, past the function and its counter."""
        self.engine.load(self.database, self.pets.name, [old_pet(one) for one in ids])

    def item(self, pet_id: int) -> Any:
        return self.pets.get({"id": pet_id})

    @property
    def counter(self) -> Any:
        return self.item(0)


def old_pet(pet_id: int) -> dict[str, Any]:
    return {"id": pet_id, "name": f"Old {pet_id}", "type": "tortoise", "price": 5}


def our_pet(pet_id: int) -> dict[str, Any]:
    return new_pet(pet_id, f"Pet {pet_id}", "tortoise", 5)


@contextmanager
def new_pet_store(engine: Engine, **environment: str) -> Iterator[PetStore]:
    """An empty table, before its first use."""
    key = {"id": "N"}
    indexes = {"type-price-index": {"type": "S", "price": "N"}, "id-range-index": {"idRange": "N", "id": "N"}}
    with engine.tables("ALL", PetStore=(key, indexes), idempotency=({"id": "S"}, {})) as names:
        tables = {"PET_STORE_TABLE_NAME": names["PetStore"], "IDEMPOTENCY_TABLE_NAME": names["idempotency"]}
        yield PetStore(engine, {**engine.environment, **NAMES, **tables, **environment})


@contextmanager
def new_seeded_store(engine: Engine, **environment: str) -> Iterator[PetStore]:
    """As it is after an apply."""
    with new_pet_store(engine, **environment) as store:
        store.act({"action": "seed"})
        store.calls.clear()
        yield store

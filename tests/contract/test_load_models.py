"""What `make load` holds answers against finds what is lost, what is there twice, and a change that went under."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from scripts import api_client, aws, load_models
from scripts.console import CommandError
from scripts.load_models import Calls, Findings, Model, agent_profiles, agent_registry, agent_sessions
from scripts.load_models import chat_sessions as chat
from scripts.load_models import pet_store as pets
from tests.contract import engines
from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.contract.systems import SYSTEMS

CLIENTS, TURNS = 3, 12
# Which of the writes goes wrong, when there is something to lose
BAD_WRITE = 12
MARK = "load-test"
MODELS: dict[str, type[Model]] = {
    "agent_profiles": agent_profiles.Model,
    "agent_registry": agent_registry.Model,
    "agent_sessions": agent_sessions.Model,
    "chat_sessions": chat.Model,
    "pet_store": pets.Model,
}
# What the functions call their tables
TABLES = {
    "profiles": "PROFILE_TABLE_NAME",
    "conversations": "CONVERSATION_TABLE_NAME",
    "match": "MATCH_TABLE_NAME",
    "agents": "AGENT_REGISTRY_TABLE_NAME",
    "pets": "PET_STORE_TABLE_NAME",
    "messages": "DYNAMODB_MESSAGES_TABLE",
}

Send = Callable[..., api_client.Answer]
Stored = dict[str, list[dict[str, Any]]]


class Api:
    """Calls the function, as ApiClient calls it over HTTP; one request at a time, as one environment does."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.lock = threading.RLock()
        self.send: Send = self.really_send
        self.wrong = 0

    def really_send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> api_client.Answer:
        path, _, query = path.partition("?")
        asked = dict(part.split("=", 1) for part in query.split("&") if part)
        with self.lock:
            answer = self.application.call(method, path, body=body, query=asked, headers=dict(headers or {}))
        parsed = api_client.json.loads(answer.text) if answer.text else None
        return api_client.Answer(f"{method} {path}", answer.status, answer.headers, parsed, 1.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with engines.running("moto") as running:
        yield running


@pytest.fixture
def options() -> Mapping[str, str]:
    """What the function is told beside the tables."""
    return {}


@pytest.fixture(params=MODELS)
def api(
    request: pytest.FixtureRequest, engine: Engine, options: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", engine.environment["AWS_REGION"])
    monkeypatch.setattr(load_models, "INDEX_SECONDS", 0.0)
    with SYSTEMS[request.param].new(engine, **options) as application, aws.kept_clients():
        yield Api(application)


def model_of(api: Api) -> Model:
    environment = api.application.environment
    tables = {logical: environment[name] for logical, name in TABLES.items() if name in environment}
    tables["sessions"] = environment.get("DYNAMODB_SESSIONS_TABLE") or environment.get("DYNAMODB_TABLE_NAME", "")
    system = type(api.application).handler.__name__.partition(".")[0]
    return MODELS[system](Calls(api, environment), tables, MARK, CLIENTS)  # type: ignore[call-arg, arg-type]


def under_load(api: Api, turns: int = TURNS) -> tuple[Model, list[str]]:
    """All that was found wrong, while it ran and at the end."""
    model, problems, findings = model_of(api), [], Findings()
    model.prepare()
    for turn in range(turns):
        for client in range(CLIENTS):
            try:
                model.act(client, random.Random(f"{turn} {client}"))
            except CommandError as error:
                problems.append(error.message)
    api.send = api.really_send
    try:
        model.check(findings)
    except CommandError as error:
        problems.append(error.message)
    return model, [*problems, *findings.bad] if findings.checked else ["nothing was checked"]


def stored(api: Api) -> Stored:
    """All items, but for idempotency markers."""
    client = api.application.engine.boto3
    names = [
        name for name in api.application.environment.items() if "TABLE" in name[0] and "IDEMPOTENCY" not in name[0]
    ]
    return {name: client.scan(TableName=name)["Items"] for _, name in names}


def creates(method: str, path: str) -> bool:
    return method == "POST" and "match" not in path and "close" not in path


def test_nothing_is_found_wrong_where_all_is_right_and_nothing_is_left(api: Api) -> None:
    before = stored(api)
    model, wrong = under_load(api)
    assert wrong == []
    assert stored(api) != before
    model.remove()
    assert stored(api) == before


@pytest.mark.parametrize("options", [engines.SCALED | {"MATCH_SHARDS": "2", "MATCH_SHARDS_READ": "2"}], ids=["scaled"])
@pytest.mark.parametrize("api", ["agent_profiles", "agent_sessions", "pet_store"], indirect=True)
def test_what_is_in_shards_or_has_its_number_from_a_block_is_found_and_removed(api: Api) -> None:
    model, wrong = under_load(api, turns=5)
    assert wrong == []
    model.remove()
    assert MARK not in str(stored(api))


def test_what_nobody_has_touched_yet_is_as_it_should_be(api: Api) -> None:
    assert under_load(api, turns=1)[1] == []


def test_an_acknowledged_write_that_is_lost_is_found(api: Api) -> None:
    def forgetful(method: str, path: str, body: Any = None, headers: Any = None) -> api_client.Answer:
        if not (api.wrong == 0 and creates(method, path) and next(writes) >= BAD_WRITE):
            return api.really_send(method, path, body, headers)
        before = stored(api)
        answer = api.really_send(method, path, body, headers)
        # a request that was sent again, or that came too late, wrote nothing
        if answer.status in (200, 201) and stored(api) != before:
            put_back(api, before)
            api.wrong += 1
        return answer

    writes = itertools.count(1)
    api.send = forgetful
    _, wrong = under_load(api)
    assert api.wrong == 1
    assert wrong


def test_a_request_that_is_carried_out_twice_is_found(api: Api) -> None:
    def twice(method: str, path: str, body: Any = None, headers: Any = None) -> api_client.Answer:
        answer = api.really_send(method, path, body, headers)
        if api.wrong == 0 and creates(method, path) and answer.status in (200, 201) and next(writes) >= BAD_WRITE:
            again = {name: value for name, value in headers.items() if name not in ("idempotency-key", "if-match")}
            api.wrong += api.really_send(method, path, body, again).status in (200, 201)
        return answer

    writes = itertools.count(1)
    api.send = twice
    _, wrong = under_load(api)
    assert api.wrong == 1
    assert wrong


def put_back(api: Api, before: Stored) -> None:
    client = api.application.engine.boto3
    for table, items in before.items():
        key = [one["AttributeName"] for one in client.describe_table(TableName=table)["Table"]["KeySchema"]]
        for item in client.scan(TableName=table)["Items"]:
            if item not in items:
                client.delete_item(TableName=table, Key={name: item[name] for name in key})
        for item in items:
            client.put_item(TableName=table, Item=item)

"""What a cold start has to load and compile: a cost that creeps in unseen, module by module."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts import function_contents, strip_source
from tests.contract import agent_profiles, agent_sessions, chat_sessions, pet_store, registry
from tests.unit.fake_service import FakeService, served
from tests.unit.http_events import event

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
# what a request needs no part of, each a millisecond or more: by far the most of a cold start with an SDK
UNWANTED = {"_hashlib", "boto3", "botocore", "calendar", "dataclasses", "datetime", "email", "encodings.idna",
            "hashlib", "hmac", "http.client", "inspect", "pathlib", "random", "selectors", "socket", "ssl", "typing",
            "urllib.parse", "uuid"}  # fmt: skip
MAXIMUM_OWN_MODULES = 24
# as shipped, without what only readers need
MAXIMUM_OWN_BYTES = 53_000
PROGRAM = """
import sys, json
import awslambdaric.bootstrap
import re
compiled = []
compile_pattern = re._compiler.compile
re._compiler.compile = lambda *what: compiled.append(str(what[0])) or compile_pattern(*what)
before = set(sys.modules)
from {system}.handler import handler
answer = handler(json.loads(sys.argv[1]), None)
loaded = sorted(set(sys.modules) - before)
print(json.dumps(dict(status=answer["statusCode"], loaded=loaded, patterns=compiled)))
"""


class First(NamedTuple):
    """A request that callers make first, and what the table answers, by operation."""

    names: dict[str, str]
    path: str
    template: str
    answers: dict[str, Any]
    query: dict[str, str] | None = None
    headers: dict[str, str] | None = None


AGENT = {"agentId": {"S": "a"}, "capabilities": {"L": [{"S": "x"}]}, "version": {"N": "1"}}
PROFILE = {
    "id": {"S": "p"},
    "profile_data": {"M": {}},
    "indexed": {"M": {}},
    "version": {"N": "1"},
    "createdAt": {"S": "2026"},
    "updatedAt": {"S": "2026"},
}
SESSION = {"id": {"S": "s"}, "tenantId": {"S": "t"}, "userId": {"S": "u"}}
MESSAGE = SESSION | {"sessionId": {"S": "s"}, "timestamp": {"S": "2026"}}
CHAT = {"PK": {"S": "SESSION#c"}, "SK": {"S": "METADATA"}, "created_at": {"S": "2026"}, "ttl": {"N": "4000000000"}}
PET = {"id": {"N": "1"}, "name": {"S": "Buddy"}, "type": {"S": "dog"}, "price": {"N": "249.99"}}
FIRST = {
    "agent_registry": First(
        registry.NAMES,
        "/agents",
        "/agents",
        {
            "Query": {"Items": [{"agentId": {"S": "capability#x#a"}, "capabilityOf": {"S": "a"}}]},
            "BatchGetItem": {"Responses": {"AgentRegistry": [AGENT]}},
        },
        query={"capability": "x"},
    ),
    "agent_profiles": First(
        agent_profiles.NAMES,
        "/retrieve/p",
        "/retrieve/{id}",
        {"GetItem": {"Item": PROFILE}},
    ),
    "agent_sessions": First(
        agent_sessions.NAMES,
        "/agent/sessions/s/messages",
        "/agent/sessions/{id}/messages",
        {"GetItem": {"Item": SESSION}, "Query": {"Items": [MESSAGE]}},
        headers={"x-tenant-id": "t", "x-user-id": "u"},
    ),
    "pet_store": First(
        pet_store.NAMES,
        "/pets",
        "/pets",
        {"Query": {"Items": [PET]}, "GetItem": {"Item": PET}},
        query={"type": "dog"},
    ),
    "chat_sessions": First(
        chat_sessions.NAMES,
        "/sessions/c/messages",
        "/sessions/{id}/messages",
        {"GetItem": {"Item": CHAT}, "Query": {"Items": [CHAT]}},
    ),
}


@contextmanager
def table(answers: dict[str, Any]) -> Iterator[FakeService]:
    with served(FakeService(lambda operation, _: (200, answers[operation]))) as service:
        yield service


@pytest.mark.parametrize("system", FIRST)
def test_a_first_request_loads_little(system: str) -> None:
    first = FIRST[system]
    sent = event("http", "GET", first.path, query=first.query, headers=first.headers, templates=[first.template])
    with table(first.answers) as service:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(LAMBDA_SRC),
            "AWS_REGION": "eu-north-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL": service.url,
            **first.names,
        }
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("{system}", system), json.dumps(sent)],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert service.connections == 1
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["status"] == 200, ran.stdout
    assert not UNWANTED & set(result["loaded"])
    assert result["patterns"] == [], "to compile one takes half a millisecond"
    own = [name for name in result["loaded"] if name.partition(".")[0] in ("common", system)]
    files = [LAMBDA_SRC.joinpath(*name.split(".")).with_suffix(".py") for name in own]
    size = sum(len(strip_source.strip(file.read_text())) for file in files if file.exists())
    assert len(own) <= MAXIMUM_OWN_MODULES, own
    assert size <= MAXIMUM_OWN_BYTES, own


def test_no_garbage_is_looked_for_until_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "__init__.py").touch()
    (tmp_path / "greeter" / "handler.py").write_text("import gc\nhandler = gc.isenabled()\n")
    sources = function_contents.Sources(tmp_path)
    for name, content in sources.bundled("greeter", sources.modules("greeter")).items():
        (tmp_path / name).write_bytes(content)
    program = "import gc\nfrom function import handler\nprint(handler, gc.isenabled(), gc.get_freeze_count() > 0)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "True"]
    assert gc.isenabled()

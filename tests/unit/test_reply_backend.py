"""The http reply backend against services of every kind, and its key from Secrets Manager and SSM."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent_sessions import api_key
from agent_sessions.backends import ReplyFailed
from agent_sessions.http_reply import MAXIMUM_ANSWER_BYTES, STORING_SECONDS, HttpBackend
from tests.unit.fake_service import CUT, HALF, SILENT, FakeService, eventually, fails, served
from tests.unit.test_http_connection import RawServer

ARN = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:key-AbCdEf"
KEY = "sesame-0123456789"
ASKED = {"tenantId": "t", "userId": "u", "sessionId": "s", "messageId": "m-1", "message": "grüße"}


def backend(agent_url: str, secrets_url: str, **environment: str) -> HttpBackend:
    source = {} if "API_SERVER_KEY_PARAMETER_NAME" in environment else {"API_SERVER_KEY_SECRET_ARN": ARN}
    return HttpBackend(
        {
            "API_SERVER_URL": agent_url,
            "AWS_REGION": "eu-north-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL": secrets_url,
            **source,
            **environment,
        }
    )


# Far less than the invocation has left, and far more than a busy machine takes to notice a timeout.
LONG_SECONDS = 60


def reply(made: HttpBackend, seconds: float = 120.0) -> str:
    return made.reply(ASKED, time.monotonic() + seconds)


@pytest.fixture
def secrets() -> Iterator[FakeService]:
    """Secrets Manager and SSM; `stored` is what they hold."""
    service = FakeService()
    service.stored = KEY  # type: ignore[attr-defined]

    def serve(operation: str, request: Any) -> tuple[int, Any]:
        if operation == "GetSecretValue":
            assert request == {"SecretId": ARN}
            return 200, {"ARN": ARN, "SecretString": service.stored}  # type: ignore[attr-defined]
        assert (operation, request) == ("GetParameter", {"Name": "/agent/key", "WithDecryption": True})
        return 200, {"Parameter": {"Name": "/agent/key", "Value": service.stored}}  # type: ignore[attr-defined]

    service.serve = serve
    with served(service):
        yield service


@pytest.fixture
def agent() -> Iterator[FakeService]:
    service = FakeService(lambda *_: (200, {"reply": "fine", "model": 1.5}))
    service.headers = {"content-type": "application/json; charset=utf-8"}
    with served(service):
        yield service


def test_what_is_asked_and_what_is_answered(agent: FakeService, secrets: FakeService) -> None:
    assert reply(backend(f"{agent.url}/v1/reply?mode=a", secrets.url)) == "fine"
    ((path, body, headers),) = agent.requests
    assert path.endswith("/v1/reply?mode=a")
    assert body == ASKED
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == "m-1"
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")


@pytest.mark.parametrize("status", [201, 204, 301, 400, 404, 429, 500, 503])
def test_any_other_status_is_no_reply(agent: FakeService, secrets: FakeService, status: int) -> None:
    agent.serve = lambda *_: (status, {"reply": "no"})
    with pytest.raises(ReplyFailed, match=f"the service answered {status}"):
        reply(backend(agent.url, secrets.url))
    assert len(agent.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [{}, [], "x", None, {"reply": None}, {"reply": ""}, {"reply": " \n"}, {"reply": 7}, {"reply": ["x"]},
     {"reply": "\ud800"}, {"answer": "x"}],
)  # fmt: skip
def test_any_other_form_is_no_reply(agent: FakeService, secrets: FakeService, answer: Any) -> None:
    agent.serve = lambda *_: (200, answer)
    with pytest.raises(ReplyFailed, match="is not"):
        reply(backend(agent.url, secrets.url))


@pytest.mark.parametrize("kind", ["text/html", "text/json", "", "application/jsonx"])
def test_another_content_type_is_no_reply(agent: FakeService, secrets: FakeService, kind: str) -> None:
    agent.headers = {"content-type": kind}
    with pytest.raises(ReplyFailed, match="application/json"):
        reply(backend(agent.url, secrets.url))


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
TOO_LONG = b'{"reply": "' + b"x" * MAXIMUM_ANSWER_BYTES + b'"}'


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"",
        b"\x00\xff" * 1000,
        OK + b"content-length: 5\r\n\r\n{{{{{",
        OK + b"content-length: 3\r\n\r\n\xff\xfe\x00",
        OK + b"content-length: 99999999999999\r\n\r\n{}",
        OK + b"content-length: -5\r\n\r\n{}",
        OK + b"content-length: many\r\n\r\n{}",
        OK + b"content-length: %d\r\n\r\n" % len(TOO_LONG) + TOO_LONG,
        OK + b"\r\n" + TOO_LONG,
        OK + b"transfer-encoding: chunked\r\n\r\nffffffffff\r\n{}",
        OK + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n",
        OK + b"content-length: 200000\r\n\r\n" + b"[" * 200_000,
        OK + b"content-length: 20\r\n\r\n{}",
        OK + b"a: b\r\n" * 100_000 + b'content-length: 17\r\n\r\n{"reply": "fine"}',
        b"HTTP/1.1 200 " + b"x" * 2_000_000,
    ],
    ids=lambda answer: repr(answer[:90]),
)
def test_garbage_and_endless_answers_are_no_reply(secrets: FakeService, answer: bytes) -> None:
    with endless(answer) as url, pytest.raises(ReplyFailed):
        reply(backend(url, secrets.url), seconds=60)


@contextmanager
def endless(answer: bytes) -> Iterator[str]:
    """Sends this, whether or not anybody reads it to its end, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(65536)
                try:
                    connected.sendall(answer)
                    connected.shutdown(socket.SHUT_WR)
                    connected.recv(1)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def test_the_longest_reply(secrets: FakeService) -> None:
    content = b'{"reply": "' + b"x" * (MAXIMUM_ANSWER_BYTES - 13) + b'"}'
    assert len(content) == MAXIMUM_ANSWER_BYTES
    with endless(OK + b"content-length: %d\r\n\r\n" % len(content) + content) as url:
        assert len(reply(backend(url, secrets.url))) == MAXIMUM_ANSWER_BYTES - 13


@pytest.mark.parametrize("step", [CUT, SILENT, HALF])
def test_a_service_that_breaks_off_or_is_silent(agent: FakeService, secrets: FakeService, step: str) -> None:
    agent.plan = [step]
    began = time.monotonic()
    with pytest.raises(ReplyFailed, match="the call failed"):
        reply(backend(agent.url, secrets.url, API_SERVER_TIMEOUT_SECONDS="0.3"))
    assert time.monotonic() - began < LONG_SECONDS


def test_the_timeout_never_goes_beyond_the_invocation(
    agent: FakeService, secrets: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backend(agent.url, secrets.url, API_SERVER_TIMEOUT_SECONDS="60")
    given: list[float] = []

    def call(headers: object, body: object, seconds: float) -> None:
        given.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(made._connection, "call", call)
    with pytest.raises(ReplyFailed, match="TimeoutError"):
        reply(made, seconds=30.0)
    assert given[0] < 30.0 - STORING_SECONDS, "what it takes to store the message is left over"
    with pytest.raises(ReplyFailed, match="no time was left"):
        reply(backend(agent.url, secrets.url), seconds=1.0)


def test_an_answer_that_trickles_in_ends_with_the_timeout(secrets: FakeService) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(65536)
                connected.sendall(OK + b"content-length: 1000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connected.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        made = backend(f"http://127.0.0.1:{listener.getsockname()[1]}", secrets.url, API_SERVER_TIMEOUT_SECONDS="0.5")
        began = time.monotonic()
        with pytest.raises(ReplyFailed, match="TimeoutError"):
            reply(made)
        assert time.monotonic() - began < LONG_SECONDS
        stop.set()
        thread.join(5)


def test_nobody_there(secrets: FakeService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ReplyFailed, match="ConnectionRefusedError"):
        reply(backend(f"http://127.0.0.1:{port}", secrets.url))


def test_what_went_wrong_never_tells_what_the_service_sent(secrets: FakeService) -> None:
    server = RawServer([f"HTTP/1.1 200 OK\r\ncontent-length: {KEY}\r\n\r\n".encode()])
    with server.running(), pytest.raises(ReplyFailed) as failure:
        reply(backend(server.url, secrets.url))
    assert KEY not in str(failure.value)
    assert failure.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a.example", "http://a.example/", "http://10.0.0.1:80/", "https://", "a.example", "https://u@a.example/",
     "https://a.example/\r\nx: y", "https://ä.example/", "http://localhost.example/"],
)  # fmt: skip
def test_addresses_that_are_refused_at_the_start(url: str) -> None:
    with pytest.raises(RuntimeError, match="API_SERVER_URL"):
        backend(url, "http://127.0.0.1:1")


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(RuntimeError) as refused:
        backend("https://user:canary@a.example/", "http://127.0.0.1:1")
    assert "canary" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "url", ["https://a.example/reply", "http://localhost:80/", "http://[::1]:8080/", "http://127.0.0.1"]
)
def test_addresses_that_are_taken(url: str) -> None:
    assert backend(url, "http://127.0.0.1:1")


# --- the key


def test_one_place_for_the_key_and_never_the_environment() -> None:
    for environment in (
        {"API_SERVER_KEY_SECRET_ARN": ""},
        {"API_SERVER_KEY_SECRET_ARN": "", "API_SERVER_KEY": KEY},
        {"API_SERVER_KEY_SECRET_ARN": ARN, "API_SERVER_KEY_PARAMETER_NAME": "/agent/key"},
    ):
        with pytest.raises(RuntimeError, match="set one of API_SERVER_KEY_SECRET_ARN"):
            backend("https://a.example", "http://127.0.0.1:1", **environment)


def test_the_key_comes_from_ssm_too(agent: FakeService, secrets: FakeService) -> None:
    made = backend(agent.url, secrets.url, API_SERVER_KEY_PARAMETER_NAME="/agent/key")
    assert reply(made) == "fine"
    headers = secrets.requests[0][2]
    assert headers["x-amz-target"] == "AmazonSSM.GetParameter"
    assert "/eu-north-1/ssm/aws4_request" in headers["authorization"]
    assert agent.requests[0][2]["authorization"] == f"Bearer {KEY}"


def test_secrets_manager_is_asked_as_its_own_service(agent: FakeService, secrets: FakeService) -> None:
    made = backend(agent.url, "http://127.0.0.1:1", AWS_ENDPOINT_URL_SECRETS_MANAGER=secrets.url)
    assert reply(made) == "fine"
    headers = secrets.requests[0][2]
    assert headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "/eu-north-1/secretsmanager/aws4_request" in headers["authorization"]


@pytest.mark.parametrize(
    "stored", [KEY, f" {KEY}\n", json.dumps({"API_SERVER_KEY": KEY}), json.dumps({"x": 1, "API_SERVER_KEY": f"{KEY} "})]
)
def test_forms_in_which_the_key_is_stored(agent: FakeService, secrets: FakeService, stored: str) -> None:
    secrets.stored = stored  # type: ignore[attr-defined]
    assert reply(backend(agent.url, secrets.url)) == "fine"
    assert agent.requests[0][2]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "stored", ["", " ", None, 7, "a\r\nb: c", "schlüssel-geheim", "{", '{"other": "geheim"}', '{"API_SERVER_KEY": 1}']
)
def test_what_is_no_key_is_never_sent(agent: FakeService, secrets: FakeService, stored: Any) -> None:
    secrets.stored = stored  # type: ignore[attr-defined]
    with pytest.raises(ReplyFailed, match="is no key") as failure:
        reply(backend(agent.url, secrets.url))
    assert "geheim" not in str(failure.value)
    assert agent.requests == []


def test_the_key_is_read_once_in_minutes(
    agent: FakeService, secrets: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backend(agent.url, secrets.url)
    for _ in range(3):
        reply(made)
    assert len(secrets.requests) == 1
    monkeypatch.setattr(api_key, "LIFE_SECONDS", 0.0)
    secrets.stored = "rotated"  # type: ignore[attr-defined]
    reply(made)
    assert len(secrets.requests) == 2
    assert agent.requests[-1][2]["authorization"] == "Bearer rotated"


@pytest.mark.parametrize("status", [401, 403])
def test_a_rotated_key_is_read_again_at_once(agent: FakeService, secrets: FakeService, status: int) -> None:
    made = backend(agent.url, secrets.url)
    reply(made)
    secrets.stored = "rotated"  # type: ignore[attr-defined]
    agent.plan = [(status, {})]
    assert reply(made) == "fine"
    assert [headers["authorization"] for _, _, headers in agent.requests[1:]] == [f"Bearer {KEY}", "Bearer rotated"]
    # one that is refused although it did not change is not tried again and again
    agent.plan = [(status, {})] * 5
    with pytest.raises(ReplyFailed, match=str(status)):
        reply(made)
    assert len(agent.plan) == 4


def test_a_passing_failure_of_the_key_s_service_is_overcome(
    agent: FakeService, secrets: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_key, "_PAUSE_SECONDS", 0.0)
    made = backend(agent.url, secrets.url)
    secrets.plan = [fails("InternalServiceError", 500), fails("ThrottlingException")]
    assert reply(made) == "fine"
    other = backend(agent.url, secrets.url)
    secrets.plan = [CUT, HALF]
    assert reply(other) == "fine"
    assert len(secrets.requests) == 6
    eventually(lambda: not secrets.plan)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_refusal_by_the_key_s_service_names_what_is_missing(
    agent: FakeService, secrets: FakeService, code: str
) -> None:
    secrets.plan = [fails(code)]
    with pytest.raises(ReplyFailed, match=f"API_SERVER_KEY can't be read by secretsmanager:GetSecretValue: {code}"):
        reply(backend(agent.url, secrets.url))
    assert agent.requests == []


def test_a_silent_key_service_does_not_outlast_the_time(
    agent: FakeService, secrets: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.plan = [SILENT] * 5
    began = time.monotonic()
    with pytest.raises(ReplyFailed):
        reply(backend(agent.url, secrets.url, API_SERVER_TIMEOUT_SECONDS="0.4"))
    assert time.monotonic() - began < LONG_SECONDS

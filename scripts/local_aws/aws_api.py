"""Port 4566: what answers like AWS. Invocations are served here, /_local/ is ours, everything else is moto's."""

from __future__ import annotations

import io
import json
import re
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from scripts.local_aws.access import Access, Answer
from scripts.local_aws.http_server import Handler
from scripts.local_aws.invocation import Invoker
from scripts.local_aws.local_endpoints import LocalEndpoints
from scripts.local_aws.settings import DEFAULT_REGION

_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations/?$")
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/")

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def moto_application() -> WsgiApplication:
    application: WsgiApplication = DomainDispatcherApplication(create_backend_app)
    return application


def make_handler(
    application: WsgiApplication, invoker: Invoker, local: LocalEndpoints, access: Access
) -> type[Handler]:
    class AwsHandler(Handler, MotoRequestHandler):  # type: ignore[misc] # moto is untyped
        """One request of an AWS client."""

        def handle(self) -> None:
            # werkzeug's handle() would look for its own server; ours keeps connections alive.
            self.close_connection = True
            try:
                self.handle_one_request()
                while not self.close_connection:
                    self.handle_one_request()
            except (ConnectionError, TimeoutError):
                pass

        def handle_one_request(self) -> None:
            Handler.handle_one_request(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            Handler.log_message(self, format, *args)

        def handle_request(self) -> None:
            if (self.headers.get("Expect") or "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.read_body()
            path, _, query = self.path.partition("?")
            if path.startswith("/_local/"):
                status, answer = local.handle(self.command, path, body)
                self.respond(status, [("Content-Type", "application/json")], json.dumps(answer).encode())
                return
            invoke = _INVOKE.match(path) if self.command == "POST" else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            if refused := self._refusal(headers, body):
                self.respond(*refused)
            elif invoke:
                self._invoke(unquote(invoke[1]), query, body)
            else:
                self._moto(body)

        def _refusal(self, headers: dict[str, str], body: bytes) -> Answer | None:
            try:
                return access.refusal(self.command, self.path, headers, body)
            except Exception as error:  # noqa: BLE001 - a client must get an answer, and the log the cause
                traceback.print_exc()
                message = json.dumps({"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"})
                return 500, [("Content-Type", "application/json")], message.encode()

        def _invoke(self, name: str, query: str, body: bytes) -> None:
            credential = _CREDENTIAL.search(self.headers.get("Authorization") or "")
            region = credential[1] if credential else DEFAULT_REGION
            qualifier = parse_qs(query).get("Qualifier", [None])[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = invoker.handle(name, qualifier, region, headers, body)
            except Exception:  # noqa: BLE001 - a client must get an answer, and the log the cause
                traceback.print_exc()
                error = json.dumps({"Type": "Service", "Message": "The embedded AWS failed; its log says why."})
                answer = 500, [("x-amzn-ErrorType", "ServiceException")], error.encode()
            self.respond(*answer)

        def _moto(self, body: bytes) -> None:
            environ = self.make_environ()
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ.pop("wsgi.input_terminated", None)
            started: dict[str, Any] = {}

            def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
                started.update(status=int(status.split(" ", 1)[0]), headers=headers)

            try:
                chunks = application(environ, start_response)
                content = b"".join(chunks)
                getattr(chunks, "close", lambda: None)()
            except Exception as error:  # noqa: BLE001 - as above
                traceback.print_exc()
                message = json.dumps({"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"})
                self.respond(500, [("Content-Type", "application/json")], message.encode())
                return
            headers = [(name, value) for name, value in started["headers"] if name.lower() != "connection"]
            if self.command != "HEAD" and started["status"] not in (204, 304):
                headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            self.respond(started["status"], headers, content)

    return AwsHandler

"""An OpenID Connect issuer on this machine: publishes keys, and signs whatever tokens a test wants."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

AUDIENCE = "agents"


class Issuer:
    """`asked` counts by path. With `answers` off, every request gets a 503."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: dict[str, int] = {}
        self.answers = True
        self.keys: list[RSAKey] = []
        self.rotate()

    def rotate(self) -> RSAKey:
        """A new key, which signs from now on; the old ones are published no more."""
        self.keys = [RSAKey.generate_key(2048, {"kid": f"key-{time.monotonic_ns()}"})]
        return self.keys[0]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good ones; a change to None leaves one out."""
        now = int(time.time())
        good = {"iss": self.url, "sub": "user-7", "aud": AUDIENCE, "iat": now, "exp": now + 3600, "tenantId": "acme"}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def token(self, *, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.keys[0]
        head = {"alg": "RS256", "kid": self.keys[0].kid, "typ": "JWT"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jws.serialize_compact(head, json.dumps(self.claims(**changes)), key, algorithms=[head["alg"]])


@contextlib.contextmanager
def issuing() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked[self.path] = issuer.asked.get(self.path, 0) + 1
            found = {
                "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                "/keys": {"keys": [key.as_dict(private=False) | {"use": "sig"} for key in issuer.keys]},
            }.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(503 if not issuer.answers else 200 if found else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

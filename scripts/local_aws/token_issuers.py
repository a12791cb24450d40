"""The keys that tokens' issuers publish, found by OpenID Connect discovery and kept for a while.

The limits are API Gateway's: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

TIMEOUT_SECONDS = 1.5
MAXIMUM_KEYS_BYTES = 150_000
CACHE_SECONDS = 2 * 60 * 60.0
_DISCOVERY = "/.well-known/openid-configuration"
_COGNITO = re.compile(r"^cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")


class IssuerError(Exception):
    """An issuer did not answer, or not as it should: in the words of API Gateway."""


class Issuers:
    """Keys by issuer. Cognito's pools are asked at `endpoint_url`, the embedded AWS's own."""

    def __init__(self, endpoint_url: str, now: Callable[[], float] = time.monotonic) -> None:
        self._endpoint_url = endpoint_url
        self._now = now
        self._pool = urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=False)
        self._kept: dict[str, tuple[float, dict[str, RSAKey]]] = {}
        self._lock = threading.Lock()

    def key(self, issuer: str, key_id: str) -> RSAKey | None:
        """None where the issuer does not publish it. Raises IssuerError.

        A key that was not seen before is asked for, so that an issuer can change keys at any time; a known one is
        good for two hours, whether the issuer answers or not.
        """
        known = self._known(issuer, key_id)
        if known is None:
            with self._lock:  # whoever waited for another's question has its answer
                known = self._known(issuer, key_id)
                if known is None:
                    self._kept[issuer] = self._now() + CACHE_SECONDS, self._published(issuer)
                    known = self._known(issuer, key_id)
        return known

    def key_set_url(self, issuer: str) -> str:
        """Where the issuer says that its keys are. Raises IssuerError."""
        message = "OIDC discovery endpoint communication error"
        stated = self._json(issuer.rstrip("/") + _DISCOVERY, message).get("jwks_uri")
        if not isinstance(stated, str):
            raise IssuerError(message)
        return stated

    def _known(self, issuer: str, key_id: str) -> RSAKey | None:
        until, keys = self._kept.get(issuer, (0.0, {}))
        return keys.get(key_id) if self._now() < until else None

    def _published(self, issuer: str) -> dict[str, RSAKey]:
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        keys: dict[str, RSAKey] = {}
        published = self._json(self.key_set_url(issuer), "JWKS communication error").get("keys")
        for stated in published if isinstance(published, list) else []:
            # Others may be there for other uses, or of other kinds.
            if not isinstance(stated, dict) or stated.get("kty") != "RSA" or stated.get("use", "sig") != "sig":
                continue
            try:
                keys[stated["kid"]] = RSAKey.import_key(stated)
            except (JoseError, LookupError, TypeError, ValueError):
                continue
        return keys

    def _json(self, url: str, message: str) -> dict[str, Any]:
        parts = urlsplit(url)
        headers = {"accept": "application/json"}
        if _COGNITO.match(parts.hostname or ""):
            headers["host"] = parts.netloc
            url = f"{self._endpoint_url}{parts.path}"
        try:
            answer = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
            with answer:
                body = answer.read(MAXIMUM_KEYS_BYTES + 1, decode_content=True)
            found = json.loads(body)
        except (urllib3.exceptions.HTTPError, ValueError, RecursionError) as error:
            raise IssuerError(message) from error
        if answer.status != 200 or len(body) > MAXIMUM_KEYS_BYTES or not isinstance(found, dict):
            raise IssuerError(message)
        return found

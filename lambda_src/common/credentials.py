"""The function's own credentials: from the environment, or (SnapStart) from the container credentials endpoint."""

from __future__ import annotations

import time

from common.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

REFRESH_AHEAD_SECONDS = 300


class Credentials:
    __slots__ = ("access_key", "expires_at", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str = "", expires_at: float | None = None) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token
        self.expires_at = expires_at


class CredentialSource:
    """Hands out credentials that are valid now; `forget` makes it fetch new ones."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._fetched: Credentials | None = None

    def forget(self) -> None:
        self._fetched = None

    def renew(self) -> bool:
        """Fetch anew at the next use; False where the environment's credentials are all there is."""
        self._fetched = None
        return "AWS_ACCESS_KEY_ID" not in self._environment

    def get(self) -> Credentials:
        known = self._fetched
        if known is None or (known.expires_at is not None and known.expires_at - REFRESH_AHEAD_SECONDS < time.time()):
            try:
                known = self._fetched = self._fetch()
            except (OSError, ValueError, KeyError) as error:
                # the old ones are used to their end while the endpoint is down
                if known is None or known.expires_at is None or known.expires_at < time.time():
                    raise Unavailable(f"no credentials from the container endpoint: {error!r}") from error
        return known

    def _fetch(self) -> Credentials:
        environment = self._environment
        if "AWS_ACCESS_KEY_ID" in environment:
            return Credentials(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment.get("AWS_SESSION_TOKEN", ""),
            )
        if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environment:
            from common.container_credentials import fetch

            return fetch(environment)
        raise RuntimeError(
            "no AWS credentials: neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set; "
            "Lambda sets one of them when the function has a role"
        )

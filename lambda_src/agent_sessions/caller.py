"""Whose data a request is about: tenant and user, from a verified token, or from headers and path where none is."""

from __future__ import annotations

import re

from common.digest import sha256
from common.errors import Problem
from common.events import bad_header
from common.exact_json import dumps
from common.identity import agreed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.events import Request

TENANT_HEADER = "x-tenant-id"
USER_HEADER = "x-user-id"
LOCATION_HEADER = "x-location-id"
# in UTF-8 four times as many bytes at most: what a sort key can hold
MAXIMUM_ID = 256
_NO_CONTROLS = "[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
USER_PREFIX = "user#"


class Owner:
    """A user of a tenant; `partition` is where the sessions table keeps what leads to the user's sessions."""

    __slots__ = ("partition", "tenant", "user")

    def __init__(self, tenant: str, user: str) -> None:
        self.tenant = tenant
        self.user = user
        self.partition = USER_PREFIX + digest(tenant, user)


class Callers:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._tenant_claim = environment.get("TENANT_CLAIM") or "tenantId"
        self._user_claim = environment.get("USER_CLAIM") or "sub"

    def tenant(self, request: Request) -> str:
        return self._known(self.claimed_tenant(request, header(request, TENANT_HEADER)), TENANT_HEADER)

    def user(self, request: Request) -> str | None:
        """None where neither a token nor the caller names one."""
        return self.claimed_user(request, header(request, USER_HEADER))

    def owner(self, request: Request) -> Owner:
        tenant = self.tenant(request)
        return Owner(tenant, self._known(self.user(request), USER_HEADER))

    def claimed_tenant(self, request: Request, stated: str | None) -> str | None:
        return _claimed(agreed(request, self._tenant_claim, stated, "tenant"), "tenant")

    def claimed_user(self, request: Request, stated: str | None) -> str | None:
        return _claimed(agreed(request, self._user_claim, stated, "user"), "user")

    def _known(self, value: str | None, name: str) -> str:
        if value is None:
            raise bad_header(name, "is missing")
        return value


def header(request: Request, name: str) -> str | None:
    """An id in a header: ASCII only, since HTTP says nothing of how other characters are encoded there."""
    value = request.headers.get(name)
    if value is not None and (wrong := wrong_id(value) or (None if value.isascii() else "must be ASCII")):
        raise bad_header(name, wrong)
    return value


def digest(*parts: str) -> str:
    """One text for several, a different one for every other several, of fixed length."""
    return sha256(dumps(parts).encode()).hexdigest()


def wrong_id(value: str) -> str | None:
    # nearly always it is: then no pattern is compiled
    is_plain = value.isascii() and value.isprintable()
    if not value.strip() or len(value) > MAXIMUM_ID or not (is_plain or re.fullmatch(_NO_CONTROLS, value)):
        return f"must be 1 to {MAXIMUM_ID} characters, not all of them blanks, without control characters"
    return None


def _claimed(value: str | None, what: str) -> str | None:
    if value is not None and wrong_id(value):
        raise Problem(403, f"the token's {what} can't be one: it is too long, or has control characters")
    return value

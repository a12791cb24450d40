"""What a registration may say, and what it gives; openapi.yaml says it to the callers."""

from __future__ import annotations

import re

from agent_registry.store import ID_PATTERN, MAXIMUM_CAPABILITIES, wrong_capability
from common import preconditions
from common.events import Answer
from common.validation import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAXIMUM_NAME = 256
MAXIMUM_ENDPOINT = 2048
MAXIMUM_CAPABILITY = 128
MAXIMUM_LEASE_SECONDS = 31_536_000
# https, a host, perhaps a port, path and query; no user, no fragment, printable ASCII only
ENDPOINT_PATTERN = (
    r"[Hh][Tt][Tt][Pp][Ss]://"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*[.]?)"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r'([/?][!"$-~]*)?'
)


def read(body: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The profile and the lease in seconds; 400 naming every field that is wrong."""
    fields = Fields(body)
    profile = fields.object("profile")
    values = {
        "id": profile.text("id", most=128, pattern=ID_PATTERN, hint="letters, digits and . _ : @ ~ - only"),
        "name": profile.text("name", most=MAXIMUM_NAME),
        "endpoint": profile.text("endpoint", most=MAXIMUM_ENDPOINT, check=_wrong_endpoint),
        "capabilities": profile.texts(
            "capabilities", most=MAXIMUM_CAPABILITIES, each=MAXIMUM_CAPABILITY, check=wrong_capability
        ),
    }
    lease_seconds = fields.integer("leaseSeconds", low=1, high=MAXIMUM_LEASE_SECONDS)
    fields.done()
    return values, lease_seconds


def answer(agent: dict[str, Any], is_new: bool) -> Answer:
    """What a registration gives: the agent, its version, and where it is if it is new."""
    headers = {"etag": preconditions.etag(agent["version"])}
    if is_new:
        headers["location"] = f"/agents/{agent['id']}"
    return Answer(201 if is_new else 200, agent, headers)


def _wrong_endpoint(endpoint: str) -> str | None:
    if not re.fullmatch(ENDPOINT_PATTERN, endpoint):
        return "must be an https address with a host, without user and fragment, in printable ASCII"
    return None

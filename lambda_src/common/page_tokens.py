"""The opaque `next_token` of a list.

A token holds a position within a list, never which list or whose: those come from the request every time.
So a forged token moves at most within the caller's own list, and the checksum turns damage into a 400.
"""

from __future__ import annotations

import json

from common.digest import sha256
from common.events import bad_parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHECKSUM_BYTES = 9


def position_of(token: str, scope: tuple[str, ...]) -> Any:
    """See paging.position."""
    from binascii import a2b_base64

    try:
        content = a2b_base64(token.translate(_FROM_URL) + "=" * (-len(token) % 4), strict_mode=True)
        found, checksum = content[_CHECKSUM_BYTES:], content[:_CHECKSUM_BYTES]
        if not found or checksum != _checksum(found, scope) or token != _encoded(content):
            raise ValueError("checksum")
        return json.loads(found)
    except (ValueError, RecursionError):
        raise bad_parameter("next_token", "is not from the list it is used for, or was changed on its way") from None


def token_of(position: Any, scope: tuple[str, ...]) -> str:
    """See paging.token."""
    found = json.dumps(position, separators=(",", ":"), sort_keys=True).encode()
    return _encoded(_checksum(found, scope) + found)


_FROM_URL = {ord("-"): "+", ord("_"): "/", ord("+"): " ", ord("/"): " "}


def _encoded(content: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(content, newline=False).decode().rstrip("=").replace("+", "-").replace("/", "_")


def _checksum(found: bytes, scope: tuple[str, ...]) -> bytes:
    return sha256(json.dumps(scope).encode() + found).digest()[:_CHECKSUM_BYTES]

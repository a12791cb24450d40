"""SHA-256 without the modules hashlib and hmac: to load them, and OpenSSL with them, takes 3 ms of a cold start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def _constructor() -> Callable[[bytes], _Hash]:
    """As the standard library's random looks for it."""
    for name in ("_sha2", "_sha256", "hashlib"):  # the second before Python 3.12
        try:
            return __import__(name).sha256  # type: ignore[no-any-return]
        except ImportError:
            continue
    raise ImportError("there is no SHA-256")


sha256 = _constructor()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104."""
    key = (sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    return sha256(key.translate(_OUTER) + sha256(key.translate(_INNER) + message).digest()).digest()

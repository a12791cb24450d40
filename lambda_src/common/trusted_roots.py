"""Whom to trust behind https, cheaply.

To load all root certificates of a system takes 30 ms, more than all else of a cold start. AWS's endpoints stand below
five of them, https://www.amazontrust.com/repository/: those are taken from among the system's own.
"""

from __future__ import annotations

import ssl
from binascii import a2b_base64

# Not those of China and of isolated regions, of which nothing is said there
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.eu")
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END"
_OWNERS = (b"Amazon Root CA", b"Starfield Services Root Certificate Authority")


def context(host: str) -> tuple[ssl.SSLContext, bool]:
    """How to connect to a host, and whether only AWS's own roots are trusted.

    Where they don't do (a network that puts its own certificates in between), `ssl.create_default_context()` is asked.
    """
    if host.endswith(AWS_DOMAINS) and (roots := _aws_roots()):
        return ssl.create_default_context(cadata=roots), True
    return ssl.create_default_context(), False


def _aws_roots() -> bytes:
    """In DER, one after the other; empty where the system has none in one file."""
    file = ssl.get_default_verify_paths().cafile
    try:
        with open(file or "", encoding="latin-1") as bundle:  # noqa: PTH123 - cold start
            parts = bundle.read().split(_BEGIN)[1:]
        found = [a2b_base64(part.partition(_END)[0]) for part in parts]
    except (OSError, ValueError):
        return b""
    return b"".join(one for one in found if any(owner in one for owner in _OWNERS))

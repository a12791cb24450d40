"""Time as it is stored and shown: UTC, ISO 8601 with microseconds in fixed width, so that text order is time order."""

from __future__ import annotations

import os
import time
from decimal import Decimal

# What a clock may be set back without being noticed; further back, what it said before was wrong
MAXIMUM_STEP = 60_000_000

_last = _made = 0


def now() -> int:
    """Microseconds since the epoch: later with each call, also where the clock stands still or was set back a little.

    So what an execution environment writes is in the order of its times, and what has expired does not come back.
    """
    global _last
    read = time.time_ns() // 1000
    _last = _last + 1 if _last - MAXIMUM_STEP < read <= _last else read
    return _last


def text(microseconds: int) -> str:
    """2026-11-21T03:47:12.000000Z"""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06d}Z"


def unique_text(microseconds: int) -> str:
    """A sort key made from time: 2026-11-21T03:47:12.000000Z#000017a3f9

    What is counted keeps two of one microsecond in order within an execution environment, what is random keeps those
    of two environments apart.
    """
    global _made
    _made += 1
    return f"{text(microseconds)}#{_made % 1_000_000:06d}{os.urandom(2).hex()}"


def seconds_up(microseconds: int) -> int:
    """Whole epoch seconds, rounded up: what a TTL attribute holds."""
    return -(-microseconds // 1_000_000)


def is_past(ttl: object, seconds: int = 0) -> bool:
    """Whether an item with this TTL attribute is expired (for so many seconds), deleted or not.

    Like DynamoDB, only numbers count.
    """
    return isinstance(ttl, (int, Decimal)) and (ttl + seconds) * 1_000_000 <= now()

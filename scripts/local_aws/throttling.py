"""API Gateway's throttling: a token bucket for each route of a stage."""

from __future__ import annotations

import threading
import time


class TokenBucket:
    """`burst` tokens at most, `rate` new ones a second."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._tokens = float(burst)
        self._at = time.monotonic()

    def take(self, now: float) -> bool:
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttle:
    """The buckets of all routes; a changed setting starts a new bucket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str], TokenBucket] = {}

    def admits(self, key: tuple[str, str, str], rate: float | None, burst: int | None) -> bool:
        if rate is None and burst is None:
            return True
        rate = float(rate if rate is not None else 10_000)
        burst = int(burst if burst is not None else 5_000)
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
                bucket = self._buckets[key] = TokenBucket(rate, burst)
            return bucket.take(time.monotonic())

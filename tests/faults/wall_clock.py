"""The functions' wall clock, moved by hand at the one place that tells the time: common.clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from common import clock

DAY_SECONDS = 86_400.0


class WallClock:
    """Goes on as the real one does, `ahead` seconds before it, unless it is `frozen`."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._frozen_at: int | None = None

    def freeze(self) -> None:
        self._frozen_at = self.time_ns()

    def step(self, seconds: float) -> None:
        self.ahead += seconds

    def time_ns(self) -> int:
        return self._frozen_at or time.time_ns() + int(self.ahead * 1_000_000_000)


@contextmanager
def wall_clock(looked_at: int = 0) -> Iterator[WallClock]:
    """In an execution environment that saw it last at `looked_at` (microseconds), 0 for a new one."""
    moved = WallClock()
    told = SimpleNamespace(time_ns=moved.time_ns, strftime=time.strftime, gmtime=time.gmtime)
    with mock.patch.object(clock, "time", told), mock.patch.object(clock, "_last", looked_at):
        yield moved


# What a clock does between two looks at it
STEPS = {
    "frozen": WallClock.freeze,
    "backward by 5 s": lambda moved: moved.step(-5),
    "forward by a day": lambda moved: moved.step(DAY_SECONDS),
}

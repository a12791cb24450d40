"""What callers typically ask of each system, to estimate what a call of each route takes: one module a system.

Each has

- `SETTINGS`: what a person may say in the environment's file, with its default: sizes, and how much is found or stored.
- `STORED`: of those, how much of a thing is stored, with the route that makes one.
- `samples(send, settings)`: yields a Sample for each way in which a route is called. What must be there before is
  written, by `send`, before the Sample is yielded: only its own call is measured.

Every call but those of `STORED`'s routes leaves other routes' data as it found it, or the generator makes it anew.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol


class Answer(NamedTuple):
    status: int
    body: Any


class Send(Protocol):
    """Calls the system's function; raises CommandError unless it answers with success."""

    def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Answer: ...


class Sample(NamedTuple):
    """`share` of the route's calls are like this one."""

    route: str
    share: float
    call: Callable[[], Answer]


Settings = Mapping[str, float]
# Setting of every system: the share of creating calls that carry an Idempotency-Key.
IDEMPOTENT = "idempotency_key_share"


def with_keys(settings: Settings) -> Iterator[tuple[float, dict[str, str]]]:
    """The headers of a creating call, without Idempotency-Key and with one, and the share of calls that have them."""
    share = settings[IDEMPOTENT]
    if share < 1:
        yield 1 - share, {}
    if share > 0:
        yield share, {"idempotency-key": uuid.uuid4().hex}


def text(count: float) -> str:
    """So many bytes."""
    return "x" * int(count)

"""The memory of the embedded AWS's execution environments while they work, and whether it grows."""

import statistics
from collections.abc import Mapping
from typing import NamedTuple

import psutil

from scripts.local_aws import control
from scripts.local_aws.control import Running

# By then a process has loaded what it loads at need, and its allocator has found its size.
WARM_UP_INVOCATIONS = 20
# Of one environment, to be judged by: a page (4 KiB) more or less is chance.
LEAST_INVOCATIONS = 10
# A process grows by whole pages, now and then. One a request, in most environments, is a leak: what is kept of each
# request is then some kilobytes, and a function of 256 MB ends after some ten thousand.
LEAK_BYTES_PER_INVOCATION = 4096


class Sample(NamedTuple):
    """What a process holds after so many invocations (resident set)."""

    invocations: int
    bytes: int


class Growth(NamedTuple):
    """Of one function's environments that were warm; `bytes_per_invocation` is the median over them, None for none."""

    environments: int
    invocations: int
    megabytes: float
    bytes_per_invocation: float | None

    @property
    def is_growing(self) -> bool:
        return self.bytes_per_invocation is not None and self.bytes_per_invocation >= LEAK_BYTES_PER_INVOCATION

    def text(self) -> str:
        if self.bytes_per_invocation is None:
            return "too few calls"
        return f"{self.megabytes:.0f} MB, {self.bytes_per_invocation / 1024:+.1f} KB a call"


class MemorySamples:
    """What was sampled of each environment, by function."""

    def __init__(self) -> None:
        self._by_function: dict[str, dict[str, list[Sample]]] = {}

    def take(self, running: Running) -> None:
        for environment in control.environments(running):
            try:
                used = psutil.Process(environment["pid"]).memory_info().rss
            except (psutil.Error, TypeError):  # it has ended, or is not there yet
                continue
            self.add(environment["function"], environment["id"], Sample(environment["invocations"], used))

    def add(self, function: str, environment: str, sample: Sample) -> None:
        self._by_function.setdefault(function, {}).setdefault(environment, []).append(sample)

    def growth(self, functions: Mapping[str, str]) -> dict[str, Growth]:
        """By system; `functions` are their functions' names."""
        return {system: _growth(self._by_function.get(name, {})) for system, name in functions.items()}


def _growth(samples: Mapping[str, list[Sample]]) -> Growth:
    warm = [[one for one in taken if one.invocations >= WARM_UP_INVOCATIONS] for taken in samples.values()]
    judged = [
        (taken[0], taken[-1])
        for taken in warm
        if taken and taken[-1].invocations - taken[0].invocations >= LEAST_INVOCATIONS
    ]
    if not judged:
        return Growth(0, 0, 0.0, None)
    return Growth(
        len(judged),
        sum(last.invocations - first.invocations for first, last in judged),
        statistics.median(last.bytes for _, last in judged) / 1e6,
        statistics.median(
            (last.bytes - first.bytes) / (last.invocations - first.invocations) for first, last in judged
        ),
    )

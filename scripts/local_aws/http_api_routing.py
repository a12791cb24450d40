"""How API Gateway chooses the route of an HTTP API.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from urllib.parse import unquote

_STATIC, _VARIABLE, _GREEDY = 0, 1, 2
DEFAULT_ROUTE = "$default"


@dataclasses.dataclass(frozen=True)
class Match:
    route_key: str
    path_parameters: dict[str, str]


@dataclasses.dataclass(frozen=True)
class _Pattern:
    route_key: str
    method: str
    segments: tuple[str, ...]
    kinds: tuple[int, ...]

    @property
    def rank(self) -> tuple[bool, tuple[int, ...], bool]:
        """Lower is more specific: full matches before greedy ones, fixed text before variables, a method before ANY."""
        greedy = _GREEDY in self.kinds
        return greedy, self.kinds, self.method == "ANY"


@functools.lru_cache(maxsize=2048)
def _parse(route_key: str) -> _Pattern:
    method, _, path = route_key.partition(" ")
    segments = tuple(path.split("/")[1:])
    kinds = tuple(
        _GREEDY if s.startswith("{") and s.endswith("+}") else _VARIABLE if s.startswith("{") else _STATIC
        for s in segments
    )
    return _Pattern(route_key, method, segments, kinds)


def _match_path(pattern: _Pattern, segments: list[str]) -> dict[str, str] | None:
    greedy = pattern.kinds[-1:] == (_GREEDY,)
    if len(segments) < len(pattern.segments) or (not greedy and len(segments) != len(pattern.segments)):
        return None
    parameters: dict[str, str] = {}
    for index, (wanted, kind) in enumerate(zip(pattern.segments, pattern.kinds, strict=True)):
        if kind == _GREEDY:
            rest = "/".join(segments[index:])
            if not rest:
                return None
            parameters[wanted[1:-2]] = unquote(rest)
        elif kind == _VARIABLE:
            if not segments[index]:
                return None
            parameters[wanted[1:-1]] = unquote(segments[index])
        elif unquote(segments[index]) != wanted:
            return None
    return parameters


def match(route_keys: Iterable[str], method: str, path: str) -> Match | None:
    """The route for a method and a raw (still encoded) path; None when there is none."""
    segments = path.split("/")[1:]
    best: tuple[tuple[bool, tuple[int, ...], bool], Match] | None = None
    default = False
    for route_key in route_keys:
        if route_key == DEFAULT_ROUTE:
            default = True
            continue
        pattern = _parse(route_key)
        if pattern.method not in (method, "ANY"):
            continue
        parameters = _match_path(pattern, segments)
        if parameters is not None and (best is None or pattern.rank < best[0]):
            best = pattern.rank, Match(route_key, parameters)
    if best is not None:
        return best[1]
    return Match(DEFAULT_ROUTE, {}) if default else None

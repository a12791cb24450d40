"""The calls a month that an environment expects: `[volumes]` of its file, checked and completed.

    [volumes]
    peak_to_mean = 3

    [volumes.agent_registry]
    "POST /agents/register" = 1_000_000
    capabilities = 5

Routes are those of the contracts, in calls a month; what else a system knows stands in scripts/workloads/<system>.py.
"""

import difflib
import importlib
import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import yaml

from scripts import paths
from scripts.console import CommandError
from scripts.cost_model import SYSTEMS

# Where nothing is stated: then the figures are those of a million calls of each route.
ASSUMED_CALLS = 1_000_000
SETTINGS: Mapping[str, float] = MappingProxyType(
    {
        "peak_to_mean": 3.0,  # the busiest hour of a day to its mean
        "function_milliseconds": 20.0,  # billed for a call
    }
)
_METHODS = ("get", "put", "post", "delete", "patch")


class SystemVolumes(NamedTuple):
    """`calls` a month by route; the other settings, None for what is stored where that is not said."""

    calls: Mapping[str, float]
    settings: Mapping[str, Any]


class Volumes(NamedTuple):
    """`is_stated` is False where the environment's file says nothing, and all is assumed."""

    is_stated: bool
    settings: Mapping[str, float]
    systems: Mapping[str, SystemVolumes]


def workload(system: str) -> ModuleType:
    return importlib.import_module(f"scripts.workloads.{system}")


@cache
def routes(system: str) -> tuple[str, ...]:
    """As `METHOD /path/{parameter}`, out of the system's contract."""
    # ten times as fast, where it was built
    loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    contract = loader((paths.LAMBDA_SOURCE / system / "openapi.yaml").read_text()).get_single_data()
    return tuple(
        f"{method.upper()} {path}" for path, item in contract["paths"].items() for method in _METHODS if method in item
    )


def check(stated: Mapping[str, Any], where: str) -> None:
    """Raises CommandError for what is not as it must be. `stated` is the part, `where` names the file."""
    for name, value in stated.items():
        if name in SYSTEMS:
            if not isinstance(value, dict):
                raise CommandError(f"{where}: [volumes] {name} is no part.", f"Begin one with [volumes.{name}].")
            _check_system(name, value, where)
        elif name in SETTINGS:
            _check_number(value, f"{where}: [volumes] {name}", above=name == "peak_to_mean" and 1)
        else:
            raise _unknown(f"{where}: [volumes] has no system or setting {name!r}.", name, [*SYSTEMS, *SETTINGS])


def of(stated: Mapping[str, Any]) -> Volumes:
    """What was stated, or the assumption; checked already."""
    settings = {name: float(stated.get(name, default)) for name, default in SETTINGS.items()}
    is_stated = any(name in SYSTEMS for name in stated)
    systems = {}
    for system in SYSTEMS:
        said = stated.get(system, {})
        assumed = 0 if is_stated else ASSUMED_CALLS
        calls = {route: float(said.get(route, assumed)) for route in routes(system)}
        systems[system] = SystemVolumes(
            calls, {**workload(system).SETTINGS, **{k: v for k, v in said.items() if k not in calls}}
        )
    return Volumes(is_stated, settings, systems)


def _check_system(system: str, stated: Mapping[str, Any], where: str) -> None:
    known = workload(system).SETTINGS
    for name, value in stated.items():
        place = f"{where}: [volumes.{system}] {name}"
        if name not in known and name not in routes(system):
            what = "route" if name[:1].isupper() or "/" in name else "setting"
            message = f"{where}: [volumes.{system}] has no {what} {name!r}."
            raise _unknown(message, name, [*routes(system), *known])
        _check_number(value, place, most=1 if name.endswith("_share") else math.inf)


def _check_number(value: Any, place: str, *, above: float = 0, most: float = math.inf) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not above <= value <= most:
        bounds = f"from {above:g}" if most == math.inf else f"from {above:g} to {most:g}"
        raise CommandError(
            f"{place} = {value!r} is no number {bounds}.",
            "Write for example 1_000_000." if most > 1 else "Write for example 0.5.",
        )


def _unknown(message: str, name: str, known: list[str]) -> CommandError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return CommandError(message, f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}.")

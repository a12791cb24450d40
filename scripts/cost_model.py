"""From what a stack uses to what it costs: by system, a month and a million calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scripts import capacity_modes, cost_change
from scripts.applied_state import Instance
from scripts.capacity_modes import Comparison, Demand
from scripts.price_list import Prices

SYSTEMS = ("agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store")
SHARED = "shared"
# What each call costs; the rest of KINDS is paid whether there are calls or not.
BY_CALL = ("reads", "writes", "function", "api", "logs")
KINDS = (*BY_CALL, "provisioned", "storage", "recovery", "backups", "fixed")

_GIGABYTE = 2**30
_SECONDS_PER_HOUR = 3600
# Modules whose names don't begin with their system's.
_MODULES = {"agent_conversations": "agent_profiles", "agent_messages": "agent_sessions"}


class Place(NamedTuple):
    """A table itself (`name` is "") or a global index: the units consumed in each period, and those provisioned.

    `provisioned_*`: units a second, as the mean of the time; 0 on demand.
    """

    name: str
    reads: Sequence[float]
    writes: Sequence[float]
    provisioned_reads: float = 0.0
    provisioned_writes: float = 0.0


class TableUse(NamedTuple):
    """Sizes in bytes: `recovery_bytes` is what point-in-time recovery keeps, 0 where it is off."""

    system: str
    name: str
    is_provisioned: bool
    infrequent_access: bool
    places: tuple[Place, ...]
    storage_bytes: float
    recovery_bytes: float
    backup_bytes: float = 0.0

    @property
    def demands(self) -> list[Demand]:
        reads = [Demand("read", place.reads) for place in self.places]
        return reads + [Demand("write", place.writes) for place in self.places]


class FunctionUse(NamedTuple):
    system: str
    calls: float
    gigabyte_seconds: float
    architecture: str


class Use(NamedTuple):
    """What was used, or is expected to be, in a time of `seconds`; sizes and fixed costs are of a month.

    `log_bytes` by system; `fixed` by system, in dollars, by what it is for.
    """

    seconds: float
    period_seconds: float
    tables: tuple[TableUse, ...]
    functions: tuple[FunctionUse, ...]
    api_requests: float
    log_bytes: Mapping[str, float]
    fixed: Mapping[str, Mapping[str, float]]


class Cost(NamedTuple):
    """US dollars a month by system and kind; `calls` a month by system; each table's capacity modes compared."""

    by_system: dict[str, dict[str, float]]
    calls: dict[str, float]
    units: dict[str, dict[str, float]]
    tables: dict[str, Comparison]

    @property
    def total(self) -> float:
        return sum(sum(kinds.values()) for kinds in self.by_system.values())

    def million_calls(self, system: str) -> float | None:
        """What a million calls cost, provisioned capacity among it; None without calls."""
        kinds, calls = self.by_system[system], self.calls.get(system, 0.0)
        paid = sum(kinds.get(kind, 0.0) for kind in (*BY_CALL, "provisioned"))
        return paid / calls * 1_000_000 if calls else None


def system_of(instance: Instance) -> str:
    """Whose a resource is, by the module that holds it; SHARED for what several use."""
    module = instance.module.removeprefix("module.")
    names = {**{system: system for system in SYSTEMS}, **_MODULES}
    return next((system for name, system in names.items() if module.startswith(name)), SHARED)


def fixed_costs(instances: Iterable[Instance], prices: Prices) -> dict[str, dict[str, float]]:
    """By system, without provisioned capacity, which is told of each table."""
    by_system: dict[str, list[cost_change.Resource]] = {}
    for one in instances:
        by_system.setdefault(system_of(one), []).append((one.type, one.attributes))
    return {
        system: {
            what: amount
            for what, amount in cost_change.monthly(resources, prices).items()
            if what != cost_change.PROVISIONED_CAPACITY
        }
        for system, resources in by_system.items()
    }


def cost(use: Use, prices: Prices) -> Cost:
    month = prices.fixed["hours_per_month"] * _SECONDS_PER_HOUR
    scale = month / use.seconds
    by_system: dict[str, dict[str, float]] = {}
    units: dict[str, dict[str, float]] = {}

    def add(system: str, kind: str, dollars: float) -> None:
        kinds = by_system.setdefault(system, {})
        kinds[kind] = kinds.get(kind, 0.0) + dollars

    for table in use.tables:
        suffix = capacity_modes.class_suffix(infrequent_access=table.infrequent_access)
        for kind in ("read", "write"):
            consumed = capacity_modes.total(table.demands, kind) * scale
            units.setdefault(table.name, {})[f"{kind}_units"] = consumed
            if not table.is_provisioned:
                add(table.system, f"{kind}s", capacity_modes.on_demand(prices, kind, consumed, suffix))
        for place in table.places if table.is_provisioned else ():
            hourly = place.provisioned_reads * prices.fixed[f"read_unit_hour{suffix}"]
            hourly += place.provisioned_writes * prices.fixed[f"write_unit_hour{suffix}"]
            add(table.system, "provisioned", hourly * prices.fixed["hours_per_month"])
        gigabytes = table.storage_bytes / _GIGABYTE
        add(table.system, "storage", gigabytes * prices.by_use[f"storage_gigabyte_month{suffix}"])
        recovery = table.recovery_bytes / _GIGABYTE
        add(table.system, "recovery", recovery * prices.by_use["point_in_time_gigabyte_month"])
        add(table.system, "backups", table.backup_bytes / _GIGABYTE * prices.by_use["backup_gigabyte_month"])
    calls: dict[str, float] = {}
    for function in use.functions:
        calls[function.system] = calls.get(function.system, 0.0) + function.calls * scale
        rate = prices.by_use[f"lambda_gigabyte_second_{function.architecture}"]
        requests = function.calls * prices.by_use["lambda_requests_million"] / 1_000_000
        add(function.system, "function", (requests + function.gigabyte_seconds * rate) * scale)
    api = use.api_requests * scale * prices.by_use["http_api_requests_million"] / 1_000_000
    # Of the API's requests as a whole, each system has those that its function got; the others reached none of these.
    requests = max(sum(calls.values()), use.api_requests * scale)
    for system, count in calls.items():
        add(system, "api", api * count / requests if requests else 0.0)
    if rest := requests - sum(calls.values()):
        add(SHARED, "api", api * rest / requests)
    for system, size in use.log_bytes.items():
        add(system, "logs", size * scale / _GIGABYTE * prices.by_use["log_ingestion_gigabyte"])
    for system, costs in use.fixed.items():
        add(system, "fixed", sum(costs.values()))
    compared = {
        table.name: capacity_modes.compare(
            table.demands,
            prices,
            window_seconds=use.seconds,
            period_seconds=use.period_seconds,
            suffix=capacity_modes.class_suffix(infrequent_access=table.infrequent_access),
        )
        for table in use.tables
    }
    ordered = {system: by_system[system] for system in (*SYSTEMS, SHARED) if system in by_system}
    return Cost(ordered, calls, units, compared)


def facts(use: Use, found: Cost, prices: Prices) -> dict[str, Any]:
    """All figures, and what they come from, for a machine."""
    return {
        **prices.facts(),
        "window_seconds": use.seconds,
        "month_usd": found.total,
        "window_usd": window_cost(use, found, prices),
        "systems": {
            system: {
                "month_usd": sum(kinds.values()),
                **{f"{kind}_usd": kinds.get(kind, 0.0) for kind in KINDS},
                "calls_month": found.calls.get(system, 0.0),
                "million_calls_usd": found.million_calls(system),
                "fixed": dict(use.fixed.get(system, {})),
            }
            for system, kinds in found.by_system.items()
        },
        "tables": {
            table.name: {
                "system": table.system,
                "billing_mode": "PROVISIONED" if table.is_provisioned else "PAY_PER_REQUEST",
                "storage_bytes": table.storage_bytes,
                "recovery_bytes": table.recovery_bytes,
                "backup_bytes": table.backup_bytes,
                **found.units[table.name],
                "month_usd_by_mode": found.tables[table.name].facts(),
                "places": {
                    place.name or table.name: {
                        "read_units_window": sum(place.reads),
                        "write_units_window": sum(place.writes),
                        "provisioned_reads": place.provisioned_reads,
                        "provisioned_writes": place.provisioned_writes,
                    }
                    for place in table.places
                },
            }
            for table in use.tables
        },
        "api_requests_window": use.api_requests,
        "log_bytes_window": dict(use.log_bytes),
        "break_even_utilisation": {
            kind: capacity_modes.break_even_utilisation(prices, kind) for kind in ("read", "write")
        },
    }


def window_cost(use: Use, found: Cost, prices: Prices) -> float:
    """What the time itself cost: the month's dollars for its part of a month."""
    return found.total * use.seconds / (prices.fixed["hours_per_month"] * _SECONDS_PER_HOUR)

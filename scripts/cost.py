"""What an environment costs: `python -m scripts.cost --env NAME`.

Before an apply from the volumes that its file expects, after it from what was used in a window. Reads only. All figures
are left in `.build/<env>/cost.json`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer
from botocore.exceptions import ClientError
from rich.table import Table

from scripts import (
    applied_state,
    aws,
    capacity_modes,
    consumption,
    cost_model,
    durations,
    environments,
    expected_use,
    planned_stack,
    price_list,
    rendering,
    volumes,
)
from scripts.applied_state import Instance
from scripts.console import CommandError, out, run, step
from scripts.cost_model import Cost, Use
from scripts.environments import Environment
from scripts.expected_use import RouteUse
from scripts.price_list import Prices

DEFAULT_SINCE = "7d"
FILE = "cost.json"
_NOT_COUNTED = (
    "Not counted: free tier, discounts, taxes, data transfer, keeping logs, Lambda's init phases, and what is used "
    "outside this stack."
)
_CENT = 0.005
_SHOWN = {
    "reads": "reads",
    "writes": "writes",
    "provisioned": "provisioned",
    "storage": "storage",
    "recovery": "PITR",
    "backups": "backups",
    "function": "Lambda",
    "api": "API",
    "logs": "logs",
    "fixed": "fixed",
}


class Report(NamedTuple):
    """One way to look at the cost; `routes` are those of an estimate, None of what was used."""

    title: str
    use: Use
    cost: Cost
    notes: list[str]
    routes: Mapping[str, Mapping[str, RouteUse]] | None


def main(
    env: Annotated[str, typer.Option(help="The environment whose cost is told.")],
    since: Annotated[str, typer.Option(help="The window whose use counts, once the stack is applied.")] = DEFAULT_SINCE,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only what the configuration would cost; needs no account.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Tell what the environment costs a month, by system and a million calls, on demand and provisioned."""
    environment = environments.load(env)
    chosen = consumption.window(durations.seconds(since))
    prices = price_list.load(environment.region)
    instances = () if estimate else _applied(environment)
    reports = {}
    if instances:
        with step(f"read what was used in {since}") as progress:
            use, notes = consumption.of_stack(instances, chosen, prices, progress)
        title = f"{env}: what was used in {durations.text(use.seconds)}, as a month of it"
        reports["consumed"] = Report(title, use, cost_model.cost(use, prices), notes, None)
    if not instances or environment.volumes:
        reports["expected"] = _expected(environment, instances, prices)
    told = {kind: _facts(report, prices) for kind, report in reports.items()}
    facts = {"environment": env, "told_at": datetime.now(UTC).isoformat(timespec="seconds"), **prices.facts(), **told}
    environment.build_dir.mkdir(parents=True, exist_ok=True)
    rendering.write(environment.build_dir / FILE, rendering.json_text(facts))
    if json_output:
        out.print_json(data=facts)
        return
    for report in reports.values():
        _show(report, prices)
    out.print(f"\nUS dollars; {prices.source()}. {prices.next_step()}".rstrip(), markup=False)
    out.print(_NOT_COUNTED, markup=False)


def _applied(environment: Environment) -> tuple[Instance, ...]:
    """What is applied; nothing where the environment is not."""
    try:
        aws.use(environment)
        bucket = environments.state_bucket(environment, aws.account_id(environment))
        return applied_state.read(bucket, environment.state_key).instances
    except CommandError as error:
        estimate = f"What it would cost, without an account: `make cost ENV={environment.name} ESTIMATE=1`."
        raise CommandError(error.message, f"{error.next_step} {estimate}", error.exit_code) from error
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        return ()


def _expected(environment: Environment, instances: Sequence[Instance], prices: Prices) -> Report:
    expected = volumes.of(environment.volumes)
    with expected_use.embedded_aws() as running:
        instances = instances or planned_stack.of_empty_account(environment, running)
        with step("call the functions as expected, and count what that takes") as progress:
            use, routes = expected_use.of_stack(instances, expected, prices, running, environment.region, progress)
    file = environments.shown(environment.file)
    notes = [f"Volumes are those of [volumes] in {file}."]
    if not routes:
        notes = ["Every system is switched off."]
    elif not expected.is_stated:
        notes = [
            f"{file} states no volumes: {volumes.ASSUMED_CALLS:,} calls a month of each route are assumed. State your "
            "own in [volumes.<system>], for example " + _example(routes)
        ]
    notes.append(
        f"Assumed: {expected.settings['function_milliseconds']:g} ms a call, a peak of "
        f"{expected.settings['peak_to_mean']:g} times the mean, and what scripts/workloads/ says of sizes."
    )
    notes += expected_use.shortages(instances, use)
    return Report(f"{environment.name}: what is expected of a month", use, cost_model.cost(use, prices), notes, routes)


def _example(routes: Mapping[str, Mapping[str, RouteUse]]) -> str:
    system = next(iter(routes))
    return f'[volumes.{system}] "{volumes.routes(system)[0]}" = 250_000.'


def _facts(report: Report, prices: Prices) -> dict[str, Any]:
    facts = cost_model.facts(report.use, report.cost, prices) | {"notes": report.notes}
    if report.routes:
        facts["routes"] = {
            system: {route: _route_facts(use, prices) for route, use in routes.items()}
            for system, routes in report.routes.items()
        }
    return facts


def _route_facts(use: RouteUse, prices: Prices) -> dict[str, Any]:
    """Of a call, and of a million of them on demand."""
    by_kind = {
        kind: sum(units for (_, _, one), units in use.units.items() if one == kind) for kind in ("read", "write")
    }
    return {
        "read_units": by_kind["read"],
        "write_units": by_kind["write"],
        "log_bytes": use.log_bytes,
        "million_calls_usd_on_demand": sum(
            capacity_modes.on_demand(prices, kind, units * 1_000_000) for kind, units in by_kind.items()
        ),
    }


def _show(report: Report, prices: Prices) -> None:
    found = report.cost
    out.print(f"\n[bold]{report.title}[/bold]")
    systems = list(found.by_system)
    table = _grid("", *(_heading(system) for system in systems), "total")
    for kind, words in _SHOWN.items():
        amounts = [found.by_system[system].get(kind, 0.0) for system in systems]
        if any(amounts):
            table.add_row(words, *map(_dollars, amounts), _dollars(sum(amounts)))
    sums = [sum(found.by_system[system].values()) for system in systems]
    table.add_row("a month", *map(_dollars, sums), _dollars(found.total), style="bold")
    calls = [found.calls.get(system, 0.0) for system in systems]
    table.add_row("calls", *map(_count, calls), _count(sum(calls)))
    each = [found.million_calls(system) for system in systems]
    table.add_row("a million calls", *("" if one is None else _dollars(one) for one in each), "")
    out.print(table)
    if report.routes is None:
        own = _dollars(cost_model.window_cost(report.use, found, prices))
        out.print(f"The {durations.text(report.use.seconds)} themselves: {own}.")
    if report.routes:
        _show_routes(report.routes, prices)
    _show_modes(report, prices)
    for note in report.notes:
        out.print(note, markup=False)


def _show_routes(by_system: Mapping[str, Mapping[str, RouteUse]], prices: Prices) -> None:
    """What a call of each takes of tables."""
    table = _grid("units of a call", "reads", "writes", "a million")
    for system, routes in by_system.items():
        table.add_row(f"[bold]{system}[/bold]")
        for route, use in routes.items():
            facts = _route_facts(use, prices)
            units = (f"{facts[kind]:.4g}" for kind in ("read_units", "write_units"))
            table.add_row(route, *units, _dollars(facts["million_calls_usd_on_demand"]))
    out.print()
    out.print(table)
    out.print("A million: US dollars for what a million such calls ask of tables, on demand.")


def _show_modes(report: Report, prices: Prices) -> None:
    """Which capacity mode would be cheaper, table by table."""
    if not report.use.tables:
        return
    headings = ("reads", "writes", "on\ndemand", "scaled\nto 70 %", "for the\npeak", "cheapest", "break-\neven")
    modes = _grid("table", *headings)
    modes.padding = (0, 1, 0, 0)  # names of tables are long
    for used in report.use.tables:
        compared, units = report.cost.tables[used.name], report.cost.units[used.name]
        is_cheapest = used.is_provisioned == (compared.cheapest == capacity_modes.PROVISIONED)
        factor = compared.break_even_factor
        modes.add_row(
            used.name,
            _count(units["read_units"]),
            _count(units["write_units"]),
            _dollars(compared.on_demand),
            _dollars(compared.provisioned),
            _dollars(compared.for_peak),
            compared.cheapest + ("" if is_cheapest else "*"),
            f"x {factor:.3g}" if factor else "",
        )
    out.print()
    out.print(modes)
    reads, writes = (capacity_modes.break_even_utilisation(prices, kind) for kind in ("read", "write"))
    month = prices.fixed["hours_per_month"] * 3600
    out.print(
        "*: the table is in the other mode. Break-even: at so many times this traffic, provisioned is the cheaper."
    )
    out.print(
        f"A provisioned unit costs as much as its requests on demand when {writes:.1%} (writes) or {reads:.1%} (reads) "
        f"of it is used: {writes * month:,.0f} writes or {reads * month:,.0f} reads a month.",
        markup=False,
    )


def _heading(system: str) -> str:
    """In two lines: that leaves room for all of them on a terminal of 80 columns."""
    return system.replace("_", "\n")


def _grid(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= _CENT or not amount else "<0.01"


def _count(count: float) -> str:
    """With three digits, and `k`, `M` or `G` for thousands, millions, milliards."""
    rounded = float(f"{count:.3g}")
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= factor:
            return f"{rounded / factor:.3g}{letter}"
    return f"{count:.0f}"


if __name__ == "__main__":
    run(main)

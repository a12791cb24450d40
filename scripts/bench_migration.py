"""Throughput of `make migrate` beside what people would write otherwise, and its peak memory.

All write the same items from the same files to the same server, DynamoDB Local where it is at hand, else the embedded
AWS; each in a process of its own, in a shuffled order, several rounds. Only ratios of one run mean anything.
Two workloads: profiles, of which each is an item and its entries to be matched by, which the goals are of; and items of
a table with one each.
"""

import json
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import boto3
import typer
from rich.table import Table as Shown

from scripts import dynamodb_local, migrate, paths
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.local_aws import control
from scripts.migration import tables
from scripts.migration.calling import Pace
from scripts.migration.profile_records import ProfileRecords

MIGRATE, PUT_ITEM, BATCH_WRITER = "make migrate", "put_item, one a record", "batch_writer"
PEERS = (PUT_ITEM, BATCH_WRITER)
GOALS = {PUT_ITEM: 5.0, BATCH_WRITER: 1.5}
GOAL_MEGABYTES = 150.0
# A put_item takes so long that a part of the records tells enough.
PUT_ITEM_PART = 8
PROFILES, ITEMS = "profiles", "items"
# DynamoDB Local gets slower with more transactions at a time; DynamoDB does not.
WORKERS = 2
REGION, SEED = "us-east-1", 1
_ENVIRONMENT = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


class Sample(NamedTuple):
    """Records a second; with the migration's proof, too, where it has one; MB at the peak."""

    throughput: float
    proved_throughput: float
    peak_megabytes: float


def measure(records: int, rounds: int) -> dict[str, Any]:
    order = random.Random(SEED)  # noqa: S311  the order of measurements, no secret
    samples: dict[str, dict[str, list[Sample]]] = {}
    with tempfile.TemporaryDirectory() as directory, _server(Path(directory)) as (server, settings):
        folder = Path(directory) / "json_storage"
        with step(f"write {records:,} profiles to files"):
            _write_files(folder, records)
        for workload in (PROFILES, ITEMS):
            with step(f"{workload}: {rounds} rounds") as progress:
                for number in range(-1, rounds):
                    # The first round makes the server warm, and does not count.
                    for method in order.sample([MIGRATE, *PEERS], 3):
                        progress.update(f"{number + 1}/{rounds} {method}")
                        sample = _in_process(settings, workload, method, folder, records)
                        if number >= 0:
                            samples.setdefault(workload, {}).setdefault(method, []).append(sample)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "records": records,
        "rounds": rounds,
        "workloads": {workload: _summary(found) for workload, found in samples.items()},
    }


def _summary(found: dict[str, list[Sample]]) -> dict[str, Any]:
    # Ratios are of one round each: what else the machine did meanwhile, it did to all.
    ratios = {
        peer: statistics.median(
            mine.throughput / theirs.throughput for mine, theirs in zip(found[MIGRATE], found[peer], strict=True)
        )
        for peer in PEERS
    }
    return {
        "median_records_per_second": {
            **{method: statistics.median(s.throughput for s in taken) for method, taken in found.items()},
            f"{MIGRATE}, with its proof": statistics.median(s.proved_throughput for s in found[MIGRATE]),
        },
        "ratios": {peer: {"ratio": ratios[peer], "at_least": GOALS[peer]} for peer in PEERS},
        "peak_megabytes": max(sample.peak_megabytes for sample in found[MIGRATE]),
    }


@contextmanager
def _server(directory: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if not dynamodb_local.missing():
        with dynamodb_local.running() as url:
            keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
            yield "DynamoDB Local", {**_ENVIRONMENT, **keys, "AWS_ENDPOINT_URL": url}
        return
    running = control.start(directory / "aws", port=dynamodb_local.free_port(), api_port=dynamodb_local.free_port())
    try:
        yield "the embedded AWS", dict(control.client_environment(running, region=REGION))
    finally:
        control.stop(directory / "aws")


def _write_files(folder: Path, records: int) -> None:
    """Half of them one a file, half in one array."""
    folder.mkdir()
    made = [_profile(number) for number in range(records)]
    for profile in made[: records // 2]:
        (folder / f"{profile['id']}.json").write_text(json.dumps(profile))
    (folder / "array.json").write_text(json.dumps(made[records // 2 :]))


def _profile(number: int) -> dict[str, Any]:
    chosen = random.Random(number)  # noqa: S311
    return {
        "id": f"bench-{number}",
        "name": f"Agent {number}",
        "address": f"https://agents.example.com/{number}",
        "job": chosen.choice(["plumber", "electrician", "painter", "lawyer", "translator"]),
        "averagePrice": number % 997 + 0.25,
        "tags": chosen.sample(["fast", "cheap", "careful", "night", "weekend"], 2),
        "location": chosen.choice([["Berlin", "Germany"], ["Paris", "France"], ["Rome", "Italy"]]),
        "description": "Does what has to be done, and does it well. " * 5,
        "timestamp": "2024-05-01T12:00:00Z",
    }


def _in_process(settings: dict[str, str], workload: str, method: str, folder: Path, records: int) -> Sample:
    """In a process of its own, for its memory and for a fresh start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_sample, (settings, workload, method, folder, records))


def _sample(settings: dict[str, str], workload: str, method: str, folder: Path, records: int) -> Sample:
    os.environ.update(settings)
    names = _make_tables(workload)
    if method == MIGRATE:
        return _migrated(names, workload, folder, records)
    if method == PUT_ITEM:
        records //= PUT_ITEM_PART
    work: Callable[[Any, list[dict[str, Any]]], None] = _put_items if method == PUT_ITEM else _put_batches
    dynamodb, began = boto3.resource("dynamodb"), time.perf_counter()
    items: dict[str, list[dict[str, Any]]] = {}
    for profile in _read(folder, records):
        for name, item in _items(profile, names, workload):
            items.setdefault(name, []).append(item)
    for name, listed in items.items():
        work(dynamodb.Table(name), listed)
    throughput = records / (time.perf_counter() - began)
    return Sample(throughput, throughput, _peak_megabytes())


def _migrated(names: list[str], workload: str, folder: Path, records: int) -> Sample:
    with tempfile.TemporaryDirectory() as state:
        table = tables.described(names[0], names[1] if workload == PROFILES else "")
        kind = migrate.kind_of(table, migrate.RECORDS if workload == PROFILES else migrate.ITEMS, table.name)
        migration = migrate.Migration("bench", folder, Path(state), Path(state) / migrate.QUARANTINE)
        try:
            target = migrate.Target("", REGION, table.name, table.made_at)
            if not migration.migrate(kind, table, target, Pace(WORKERS)):
                raise CommandError(migration.failure, exit_code=EXIT_FAILED)
        finally:
            migration.close()
    seconds = migration.manifest["seconds"]
    return Sample(records / (seconds["read"] + seconds["write"]), records / sum(seconds.values()), _peak_megabytes())


def _read(folder: Path, most: int) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.iterdir()):
        found = json.loads(file.read_text(), parse_float=Decimal)
        for profile in found if isinstance(found, list) else [found]:
            if most == 0:
                return
            most -= 1
            yield profile


def _items(profile: dict[str, Any], names: list[str], workload: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the migration writes, too, and where."""
    if workload == ITEMS:
        yield names[0], profile
        return
    kind = ProfileRecords(*names)
    own, entries = kind.new(kind.record(profile))
    for change in (own, *entries):
        yield change.table, change.item or {}


def _put_items(table: Any, items: list[dict[str, Any]]) -> None:
    for item in items:
        table.put_item(Item=item)


def _put_batches(table: Any, items: list[dict[str, Any]]) -> None:
    with table.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)


def _make_tables(workload: str) -> list[str]:
    mark, dynamodb = f"{time.time_ns()}", boto3.client("dynamodb")
    indexes = {"job-index": "job", "location-index": "location_city"} if workload == PROFILES else {}
    _make_table(dynamodb, f"profiles-{mark}", ["id"], indexes)
    if workload == PROFILES:
        _make_table(dynamodb, f"match-{mark}", ["entry", "position"], {})
    return [f"profiles-{mark}", f"match-{mark}"]


def _make_table(dynamodb: Any, name: str, key: list[str], indexes: dict[str, str]) -> None:
    attributes = [{"AttributeName": each, "AttributeType": "S"} for each in (*key, *indexes.values())]
    schema = [{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"), strict=False)]
    made = [
        {
            "IndexName": index,
            "KeySchema": [{"AttributeName": each, "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        for index, each in indexes.items()
    ]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=attributes,
        KeySchema=schema,
        **({"GlobalSecondaryIndexes": made} if made else {}),
    )


def _peak_megabytes() -> float:
    """Of this process; 0 where the system does not tell it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _show(measured: dict[str, Any]) -> None:
    for workload, figures in measured["workloads"].items():
        table = Shown(box=None, pad_edge=False, header_style="bold")
        table.add_column(f"{workload}, {measured['records']:,} to {measured['server']}")
        table.add_column("records/s", justify="right")
        for method, throughput in figures["median_records_per_second"].items():
            table.add_row(method, f"{throughput:,.0f}")
        out.print(table)
        for peer, goal in figures["ratios"].items():
            if workload != PROFILES:
                out.print(f"{goal['ratio']:.2f} times {peer}")
                continue
            met = "met" if goal["ratio"] >= goal["at_least"] else "NOT met"
            out.print(f"goal: at least {goal['at_least']} times {peer}: {goal['ratio']:.2f}, {met}")
        peak = figures["peak_megabytes"]
        out.print(
            f"goal: at most {GOAL_MEGABYTES:.0f} MB: {peak:.0f}, {'met' if peak <= GOAL_MEGABYTES else 'NOT met'}"
        )


def main(
    records: Annotated[int, typer.Option(min=1000, help="How many profiles are written each time.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure the migration beside put_item and boto3's batch_writer; exit 1 if a goal is missed."""
    measured = measure(records, rounds)
    paths.BUILD.mkdir(exist_ok=True)
    (paths.BUILD / "bench_migration.json").write_text(json.dumps(measured, indent=2) + "\n")
    if json_output:
        out.print_json(data=measured)
    else:
        _show(measured)
    for figures in measured["workloads"].values():
        slow = figures is measured["workloads"][PROFILES] and any(
            goal["ratio"] < goal["at_least"] for goal in figures["ratios"].values()
        )
        if slow or figures["peak_megabytes"] > GOAL_MEGABYTES:
            raise CommandError("a goal of the migration is missed.", exit_code=EXIT_FAILED)


if __name__ == "__main__":
    run(main)

"""Throughput of `make migrate` beside what people would write otherwise, and its peak memory.

All write the same items from the same files to the same server, a real engine where one is at hand, else the embedded
AWS; each in a process of its own, in a shuffled order, several rounds. Two workloads: profiles, of which each is an
item and its entries to be matched by, which the goals are of; and items of a table with one each.
"""

import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from scripts import dynamodb_local, migrate
from scripts.benchmarks import process_memory
from scripts.benchmarks.parts import AT_LEAST, AT_MOST, Chart, Detail, Options, Part, Row
from scripts.console import EXIT_FAILED, CommandError, err, step
from scripts.local_aws import control
from scripts.migration import tables
from scripts.migration.calling import Pace
from scripts.migration.profile_records import ProfileRecords

MIGRATE, PUT_ITEM, BATCH_WRITER = "make migrate", "put_item, one a record", "batch_writer"
PEERS = (PUT_ITEM, BATCH_WRITER)
GOALS = {PUT_ITEM: 5.0, BATCH_WRITER: 1.5}
ROUNDS, RECORDS = 5, 10_000
# A put_item takes so long that a part of the records tells enough.
PUT_ITEM_PART = 8
# Memory is flat when so many times the records take no more.
MORE_RECORDS, GOAL_GROWTH, GOAL_MEGABYTES = 4, 1.1, 150.0
PROFILES, ITEMS = "profiles", "items"
REGION, SEED = "us-east-1", 1
_ENVIRONMENT = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


class Sample(NamedTuple):
    """Records a second; with the migration's proof, too, where it has one; MB at the peak, 0 where nothing tells it."""

    throughput: float
    proved_throughput: float
    peak_megabytes: float


def measure(options: Options) -> Part:
    records, rounds = options.records or RECORDS, options.rounds or ROUNDS
    order = random.Random(SEED)  # noqa: S311  the order of measurements, no secret
    samples: dict[str, dict[str, list[Sample]]] = {}
    with tempfile.TemporaryDirectory() as directory, _server(Path(directory), options.engine_url) as settings:
        folder, more = Path(directory) / "json_storage", Path(directory) / "more"
        with step(f"write {records:,} profiles to files"):
            _write_files(folder, records)
            _write_files(more, records * MORE_RECORDS)
        for workload in (PROFILES, ITEMS):
            with step(f"migration, {workload}: {rounds} rounds") as progress:
                for number in range(-1, rounds):
                    # The first round makes the server warm, and does not count.
                    for method in order.sample([MIGRATE, *PEERS], 3):
                        progress.update(f"{number + 1}/{rounds} {method}")
                        sample = _in_process(settings, workload, method, folder, records)
                        if number >= 0:
                            samples.setdefault(workload, {}).setdefault(method, []).append(sample)
        with step(f"migration, memory of {records * MORE_RECORDS:,} {PROFILES}"):
            most = _in_process(settings, PROFILES, MIGRATE, more, records * MORE_RECORDS).peak_megabytes
    return _part(samples, records, most)


def _part(samples: dict[str, dict[str, list[Sample]]], records: int, most: float) -> Part:
    ratios = {workload: _ratios(found) for workload, found in samples.items()}
    peak = max(sample.peak_megabytes for sample in samples[PROFILES][MIGRATE])
    throughput = {workload: _throughput(found) for workload, found in samples.items()}
    rows = [
        Row("migration, records a second", peer, ratios[PROFILES][peer], "x", AT_LEAST, goal)
        for peer, goal in GOALS.items()
    ]
    if most:
        what = f"migration, memory of {records * MORE_RECORDS:,} records"
        rows += [
            Row(what, f"of {records:,}", most / peak, "x", AT_MOST, GOAL_GROWTH),
            Row(what, "", most, "MB", AT_MOST, GOAL_MEGABYTES),
        ]
    details = [
        Detail(
            f"Migration of {records:,} {workload}",
            ["", "records/s", "make migrate in the same round"],
            [
                [method, f"{figure:,.0f}", f"{ratios[workload][method]:.2f} x" if method in PEERS else ""]
                for method, figure in found.items()
            ],
        )
        for workload, found in throughput.items()
    ]
    chart = Chart(
        "Migration of profiles",
        "records a second",
        {"": {"ours" if name == MIGRATE else name: throughput[PROFILES][name] for name in (MIGRATE, *PEERS)}},
        lower_is_better=False,
    )
    data = {
        "records": records,
        "records_per_second": throughput,
        "peak_megabytes": peak,
        f"peak_megabytes_of_{MORE_RECORDS}_times_the_records": most,
        "samples": {
            workload: {method: [list(sample) for sample in taken] for method, taken in found.items()}
            for workload, found in samples.items()
        },
    }
    return Part(rows, details, data, (chart,))


def _throughput(found: dict[str, list[Sample]]) -> dict[str, float]:
    return {
        **{name: statistics.median(sample.throughput for sample in found[name]) for name in (MIGRATE, *PEERS)},
        f"{MIGRATE}, with its proof": statistics.median(sample.proved_throughput for sample in found[MIGRATE]),
    }


def _ratios(found: dict[str, list[Sample]]) -> dict[str, float]:
    """Of one round each: what else the machine did meanwhile, it did to all."""
    return {
        peer: statistics.median(
            mine.throughput / theirs.throughput for mine, theirs in zip(found[MIGRATE], found[peer], strict=True)
        )
        for peer in PEERS
    }


@contextmanager
def _server(directory: Path, engine_url: str | None) -> Iterator[dict[str, str]]:
    """What a client is given to use it."""
    if engine_url:
        keys = {name: os.environ.get(name, "local") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        yield {**_ENVIRONMENT, **keys, "AWS_ENDPOINT_URL": engine_url}
        return
    running = control.start(directory / "aws", port=dynamodb_local.free_port(), api_port=dynamodb_local.free_port())
    try:
        yield dict(control.client_environment(running, region=REGION))
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
    err.quiet = True  # a migration tells its own steps
    names = _make_tables(workload)
    try:
        return _worked(names, workload, method, folder, records)
    finally:
        for name in names:
            boto3.client("dynamodb").delete_table(TableName=name)


def _worked(names: list[str], workload: str, method: str, folder: Path, records: int) -> Sample:
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
    return Sample(throughput, throughput, _own_peak())


def _migrated(names: list[str], workload: str, folder: Path, records: int) -> Sample:
    with tempfile.TemporaryDirectory() as state:
        table = tables.described(names[0], names[1] if workload == PROFILES else "")
        kind = migrate.kind_of(table, migrate.RECORDS if workload == PROFILES else migrate.ITEMS, table.name)
        migration = migrate.Migration("bench", folder, Path(state), Path(state) / migrate.QUARANTINE)
        try:
            target = migrate.Target("", REGION, table.name, table.made_at)
            if not migration.migrate(kind, table, target, Pace(migrate.DEFAULT_WORKERS)):
                raise CommandError(migration.failure, exit_code=EXIT_FAILED)
        finally:
            migration.close()
    seconds = migration.manifest["seconds"]
    return Sample(
        records / (seconds["read"] + seconds["write"]),
        records / sum(seconds.values()),
        _own_peak(),
    )


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
    if workload == ITEMS:
        _make_table(dynamodb, f"bench-{mark}", ["id"], {})
        return [f"bench-{mark}"]
    names = [f"bench-profiles-{mark}", f"bench-match-{mark}"]
    _make_table(dynamodb, names[0], ["id"], {"job-index": "job", "location-index": "location_city"})
    _make_table(dynamodb, names[1], ["entry", "position"], {})
    return names


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


def _own_peak() -> float:
    return process_memory.peak_megabytes(os.getpid()) or 0.0

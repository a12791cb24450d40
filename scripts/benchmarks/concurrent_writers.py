"""Many execution environments that write at the same time, beside the ways in which the five applications did.

64 add pets, where they scanned for the highest id; 16 append to one session, where they read its history and wrote it
back. Each is a process of its own, all begin at one signal and write for the same time. What counts is what is there
afterwards: records that were acknowledged and are lost are no throughput. Both ways before are measured, as most write
them, without a condition, and as one would who knows of it, with a condition and another attempt; the goal is against
the faster.
"""

import random
import statistics
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from scripts.applied_state import Instance
from scripts.benchmarks import old_designs, read_units, stack_tables, stored_records, writers
from scripts.benchmarks.engines import Engine
from scripts.benchmarks.parts import AT_LEAST, AT_MOST, Chart, Detail, Options, Part, Row
from scripts.benchmarks.stack_tables import StackTables
from scripts.benchmarks.writers import CONDITION, MESSAGE_BYTES, NO_CONDITION, OURS, PETS, SESSION, Place, Size, Written
from scripts.console import CommandError, Progress, step
from scripts.function_caller import Caller

PET_WRITERS, SESSION_WRITERS = 64, 16
RECORDS, ROUNDS, SECONDS = 1_000, 3, 5.0
# For what is written into an item that holds the whole history
_ROOM = 500
GOAL_RATIO = 10.0
SEED = 1
WAYS = (OURS, NO_CONDITION, CONDITION)
SYSTEM = {PETS: "pet_store", SESSION: "chat_sessions"}
WHAT = {PETS: "adding pets", SESSION: "to one session"}
BEFORE = {PETS: "scan for the next id", SESSION: "read-modify-write"}


class Sample(NamedTuple):
    """Of a round: records that were acknowledged; of these, those there, lost, doubled and out of order."""

    acknowledged: int
    kept: int
    lost: int
    doubled: int
    disordered: int
    refused: int
    seconds: float

    @property
    def throughput(self) -> float:
        """Records that are really there, a second."""
        return self.kept / self.seconds

    @property
    def wrong(self) -> int:
        return self.lost + self.doubled + self.disordered


Samples = dict[str, list[Sample]]  # by way
# Names and keys of what is there after a round, in its order; names of what was there before are nobody's
Found = list[tuple[str, Any]]
Round = Callable[[Engine, Sequence[Instance], str, Size], Sample]


def measure(options: Options) -> Part:
    """`options.records` are there before the writers begin."""
    rounds = options.rounds or ROUNDS
    records = options.records or RECORDS
    most = old_designs.most_messages(MESSAGE_BYTES) - _ROOM
    instances = stack_tables.declared()
    sizes = {PETS: Size(records, PET_WRITERS, SECONDS), SESSION: Size(min(records, most), SESSION_WRITERS, SECONDS)}
    switched_on = stack_tables.systems(instances)
    sizes = {name: size for name, size in sizes.items() if SYSTEM[name] in switched_on}
    if not sizes:
        raise CommandError("no system is there to write to.", f"{stack_tables.ENVIRONMENT_FILE} switches them off.")
    with stack_tables.engine(options.engine_url) as engine:
        samples = {}
        for name, size in sizes.items():
            with step(f"{size.writers} writers: {name}, {rounds} rounds") as progress:
                samples[name] = rounds_of(SCENARIOS[name], engine, instances, size, rounds, progress)
    return part(samples, sizes, "" if options.engine_url else ", on the embedded AWS")


def rounds_of(
    scenario: Round,
    engine: Engine,
    instances: Sequence[Instance],
    size: Size,
    rounds: int,
    progress: Progress,
    ways: Sequence[str] = WAYS,
) -> Samples:
    """Ours and theirs by turns, in a shuffled order."""
    order = random.Random(SEED)  # noqa: S311  the order of measurements, no secret
    samples: Samples = {way: [] for way in ways}
    for number in range(rounds):
        for way in order.sample(ways, len(ways)):
            progress.update(f"{number + 1}/{rounds} {way}")
            samples[way].append(scenario(engine, instances, way, size))
    return samples


def part(samples: Mapping[str, Samples], sizes: Mapping[str, Size], where: str = "") -> Part:
    """`where` tells of what is no real engine."""
    rows = []
    for name, size in sizes.items():
        ratio, faster = ratio_of(samples[name])
        what = f"{size.writers} writers {WHAT[name]}: records kept a second, {size.records:,} before{where}"
        rows.append(Row(what, f"{BEFORE[name]}, {faster}", ratio, "x", AT_LEAST, GOAL_RATIO))
    ours = [one for name in sizes for one in samples[name][OURS]]
    theirs = [one for name in sizes for one in samples[name][NO_CONDITION]]
    lost = sum(one.lost for one in theirs) / max(1, sum(one.acknowledged for one in theirs))
    rows.append(
        Row(
            f"of {sum(one.acknowledged for one in ours):,} acknowledged records lost, doubled or out of order",
            f"without a condition {lost:.0%} are lost",
            float(sum(one.wrong for one in ours)),
            "records",
            AT_MOST,
            0.0,
        )
    )
    data = _data(samples, sizes)
    values = {
        f"{size.writers} writers {WHAT[name]}": {
            way: max(one, 1 / size.seconds) for way, one in data[name]["median_kept_per_second"].items()
        }
        for name, size in sizes.items()
    }
    title = "Records that are there afterwards"
    chart = Chart(title, "records/s", values, lower_is_better=False, is_logarithmic=True)
    return Part(rows, [_detail(samples, sizes)], data, (chart,))


def ratio_of(samples: Samples) -> tuple[float, str]:
    """Of the medians, to the faster of the other ways; who kept nothing counts as with one record."""
    medians = {way: statistics.median(one.throughput for one in taken) for way, taken in samples.items()}
    faster = max((NO_CONDITION, CONDITION), key=lambda way: medians[way])
    least = 1 / statistics.median(one.seconds for one in samples[faster])
    return medians[OURS] / max(medians[faster], least), faster


def sample(written: Sequence[Written], found: Found, *, is_consecutive: bool) -> Sample:
    """What became of the records. Where a write was refused, a gap between keys is allowed."""
    acknowledged = [record for one in written for record in one.acknowledged]
    refused = sum(one.refused for one in written)
    places = {name: place for place, (name, _) in enumerate(found)}
    kept = [name for name, key in acknowledged if name in places and key in (None, found[places[name]][1])]
    names, keys = Counter(name for name, _ in found), Counter(key for _, key in acknowledged if key is not None)
    doubled = sum(names[name] - 1 for name in kept) + sum(count - 1 for count in keys.values())
    listed = [key for _, key in found]
    disordered = sum(after <= before for before, after in pairwise(listed))
    if is_consecutive and not refused:
        disordered += sum(after > before + 1 for before, after in pairwise(listed))
    for one in written:
        disordered += sum(
            after < before for before, after in pairwise(places[name] for name, _ in one.acknowledged if name in places)
        )
    seconds = max(one.ended for one in written) - min(one.began for one in written)
    return Sample(len(acknowledged), len(kept), len(acknowledged) - len(kept), doubled, disordered, refused, seconds)


# --- what is written where


def pets(engine: Engine, instances: Sequence[Instance], way: str, size: Size) -> Sample:
    old = read_units.old_tables(_mark())["pets"]
    with (
        stack_tables.made(engine, instances, SYSTEM[PETS]) as stack,
        stack_tables.tables(engine, [old]),
    ):
        environment = stack.environments["pet_store"]
        table = environment["PET_STORE_TABLE_NAME"] if way == OURS else old["TableName"]
        system = read_units.pet_store(stack, {"pets": old["TableName"]})
        read_units.fill(engine, system, 0, size.records, lambda _: None)
        written = writers.at_once(PETS, way, Place(engine.url, environment, table), size)
        items = stored_records.every(engine.client(), table)
        numbers = sorted((int(item["id"]["N"]), item["name"]["S"]) for item in items if "name" in item)
        return sample(written, [(name, number) for number, name in numbers], is_consecutive=way == OURS)


def session(engine: Engine, instances: Sequence[Instance], way: str, size: Size) -> Sample:
    old = read_units.old_tables(_mark())["history"]
    with (
        stack_tables.made(engine, instances, SYSTEM[SESSION]) as stack,
        stack_tables.tables(engine, [old]),
    ):
        environment = stack.environments["chat_sessions"]
        if way != OURS:
            place = Place(engine.url, environment, old["TableName"], _old_session(engine, old["TableName"], size))
            written = writers.at_once(SESSION, way, place, size)
            history = engine.table(place.table).get_item(Key={"id": place.key}, ConsistentRead=True)["Item"]["history"]
            found: Found = [(_name(one["content"]), number) for number, one in enumerate(history)]
        else:
            caller = stack.caller("chat_sessions")
            place = Place(engine.url, environment, environment["DYNAMODB_TABLE_NAME"], _session(stack, caller, size))
            written = writers.at_once(SESSION, way, place, size)
            found = [(_name(one["content"]), one["time"]) for one in _listed(caller, place.key)]
        return sample(written, found, is_consecutive=False)


SCENARIOS: Mapping[str, Round] = {PETS: pets, SESSION: session}


def _session(stack: StackTables, caller: Caller, size: Size) -> str:
    """A session with so many messages."""
    table = stack.environments["chat_sessions"]["DYNAMODB_TABLE_NAME"]
    opened = str(caller.send("POST", "/sessions", {"user_id": "user-00000001"}).body["id"])
    time = caller.send("POST", f"/sessions/{opened}/messages", writers.message("")).body["time"]
    mark, numbered = f"MESSAGE#{time}", stored_records.numbered_time(time)
    template = stored_records.template(
        stack.engine.client(), [table], {mark: lambda number: f"MESSAGE#{numbered(number)}"}
    )
    # by the session's clock before the first: what the writers write comes after them
    stored_records.write(stack.engine, (template.copy(number) for number in range(size.records - 1)), lambda _: None)
    return opened


def _old_session(engine: Engine, table: str, size: Size) -> str:
    item = old_designs.history(size.records, MESSAGE_BYTES) | {"version": {"N": "0"}}
    engine.client().put_item(TableName=table, Item=item)
    return str(item["id"]["S"])


def _listed(caller: Caller, opened: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = caller.send("GET", f"/sessions/{opened}/messages?limit=100{token}").body
        yield from page["messages"]
        if "next_token" not in page:
            return
        token = f"&next_token={page['next_token']}"


def _name(content: str) -> str:
    return content.rstrip("x")


def _mark() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}-old"


# --- for people


def _detail(samples: Mapping[str, Samples], sizes: Mapping[str, Size]) -> Detail:
    rows = []
    for name, size in sizes.items():
        for way, taken in samples[name].items():
            sums = [sum(column) for column in zip(*(one[:6] for one in taken), strict=True)]
            speed = statistics.median(one.throughput for one in taken)
            what = f"{size.writers} {WHAT[name]}: {way if way == OURS else f'{BEFORE[name]}, {way}'}"
            rows.append([what, *(f"{one:,}" for one in sums), f"{speed:,.1f}"])
    columns = ["writers", "acknowledged", "kept", "lost", "doubled", "out of order", "refused", "kept a second"]
    return Detail("Writers at the same time, all rounds", columns, rows)


def _data(samples: Mapping[str, Samples], sizes: Mapping[str, Size]) -> dict[str, Any]:
    return {
        name: {
            **size._asdict(),
            "samples": {way: [one._asdict() for one in taken] for way, taken in samples[name].items()},
            "median_kept_per_second": {
                way: statistics.median(one.throughput for one in taken) for way, taken in samples[name].items()
            },
        }
        for name, size in sizes.items()
    }

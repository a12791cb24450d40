"""Capacity units of the functions' own calls, beside those of the five applications' designs, as an engine counts them.

Reads on tables of 100, 10,000 and 100,000 records; writes item by item, against the least that the guarantees allow.
Without an engine the embedded AWS counts, from the sizes of items; of more records than that is quick enough for, the
old designs' units are reckoned.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scripts import capacity_units, volumes
from scripts.applied_state import Instance
from scripts.benchmarks import old_designs, read_units, stack_tables, write_units
from scripts.benchmarks.engines import Engine
from scripts.benchmarks.parts import AT_LEAST, AT_MOST, Chart, Detail, Options, Part, Row
from scripts.benchmarks.write_units import Measured
from scripts.console import CommandError, Progress, step

SIZES = (100, 10_000, 100_000)
COMPUTED_SIZES = (100, 1_000)
HISTORIES = (10, 100, 1_000)
GOAL_GROWTH, GOAL_RATIO, GOAL_WRITES = 1.10, 500.0, 1.0


class Counted(NamedTuple):
    """Read units of one list or lookup by number of records: ours, and the old design's (None: they don't fit)."""

    system: str
    route: str
    what: str
    design: str
    ours: Mapping[int, float]
    theirs: Mapping[int, float | None]

    @property
    def name(self) -> str:
        return f"{self.route}, {self.what}"

    @property
    def growth(self) -> float:
        least, most = min(self.ours.values()), max(self.ours.values())
        return most / least if least else 1.0 + most

    @property
    def ratio(self) -> float | None:
        """At the largest size; None where the old design is the same, or at its end, and where ours reads nothing."""
        size = max(self.ours)
        theirs = self.theirs.get(size)
        return None if theirs is None or not self.ours[size] else theirs / self.ours[size]


class History(NamedTuple):
    """Units of the whole history in one item: of reading it, and of writing it with a message more."""

    messages: int
    read: float
    written: float


def measure(options: Options) -> Part:
    """`options.records` is the largest number of records."""
    largest = options.records or SIZES[-1]
    if largest < SIZES[0]:
        raise CommandError(f"{largest} records fill no page.", f"Take {SIZES[0]} or more.")
    instances = stack_tables.declared()
    is_computed = options.engine_url is None
    sizes = sorted({*(size for size in (COMPUTED_SIZES if is_computed else SIZES) if size < largest), largest})
    with stack_tables.engine(options.engine_url) as engine:
        check_counting(engine)
        counting = "count from the sizes of items" if is_computed else "count on the engine"
        with step(f"read units: {counting}") as progress:
            found = reads(engine, instances, [s for s in sizes if not is_computed or s <= COMPUTED_SIZES[-1]], progress)
        with step(f"write units: {counting}") as progress:
            written = list(writes(engine, instances, progress))
            histories = list(whole_histories(engine))
    if is_computed:
        found = [_reckoned(one, largest) for one in found]
    return part(found, written, histories, is_computed=is_computed)


def check_counting(engine: Engine) -> None:
    """Raises CommandError for an engine that makes its units up, as some emulators do."""
    item = {"id": {"S": "1"}, "text": {"S": "x" * 9_000}}
    expected = capacity_units.read_units(capacity_units.item_bytes(item), consistent=True)
    table, dynamodb = f"bench-{uuid.uuid4().hex[:8]}-count", engine.client()
    with stack_tables.tables(engine, [stack_tables.definition(table, id="S")]):
        dynamodb.put_item(TableName=table, Item=item)
        answer = dynamodb.get_item(
            TableName=table, Key={"id": item["id"]}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
        )
    told = answer.get("ConsumedCapacity", {}).get("CapacityUnits")
    if told != expected:
        raise CommandError(
            f"the engine at {engine.url} does not count capacity: it tells {told} for {expected:g} units.",
            "Name DynamoDB Local or dynoxide, or none: then units are counted from the sizes of items.",
        )


def part(
    found: Sequence[Counted], written: Sequence[Measured], histories: Sequence[History], *, is_computed: bool
) -> Part:
    if not found:
        raise CommandError("there is no system to count.", f"{stack_tables.ENVIRONMENT_FILE} switches them off.")
    size = max(found[0].ours)
    grown = max(found, key=lambda one: one.growth)
    compared = [one for one in found if one.ratio is not None]
    least = min(compared, key=lambda one: one.ratio or 0.0)
    worst = max(written, key=_excess)
    rows = [
        Row(
            f"read units of {len(found)} lists and lookups, growth from {min(found[0].ours):,} to {size:,} records, "
            f"the most ({grown.name})",
            "none",
            grown.growth,
            "x",
            AT_MOST,
            GOAL_GROWTH,
            is_computed,
        ),
        Row(
            f"read units at {size:,} records, the least gain of {len(compared)} lists ({least.name})",
            least.design,
            least.ratio or 0.0,
            "x",
            AT_LEAST,
            GOAL_RATIO,
            is_computed,
        ),
        Row(
            f"write units of {len(written)} messages, registrations and pets, the most above ({worst.write.what})",
            "what the guarantees allow",
            _excess(worst),
            "x",
            AT_MOST,
            GOAL_WRITES,
            is_computed or any(one.counted != one.written for one in written),
        ),
    ]
    tables = [_of_reads(found), _arithmetic(written), _of_writes(written), _before_writes(found, histories)]
    return Part(rows, tables, _data(found, written, histories), (_chart(compared, size),))


def reads(engine: Engine, instances: Sequence[Instance], sizes: Sequence[int], progress: Progress) -> list[Counted]:
    """Of every list and lookup of the systems that are declared, on tables that grow."""
    found = []
    old = read_units.old_tables(f"bench-{uuid.uuid4().hex[:8]}-old")
    names = {name: definition["TableName"] for name, definition in old.items()}
    with stack_tables.made(engine, instances) as stack, stack_tables.tables(engine, old.values()):
        for name, prepare in read_units.SYSTEMS.items():
            if name not in stack.environments:
                continue
            system = prepare(stack, names)
            counts: list[tuple[dict[int, float], dict[int, float | None]]] = [({}, {}) for _ in system.reads]
            for before, size in zip((0, *sizes), sizes, strict=False):
                progress.update(f"{name}: {size:,} records")
                read_units.fill(engine, system, before, size, _telling(progress, name, size))
                for read, (ours, theirs) in zip(system.reads, counts, strict=True):
                    progress.update(f"{name}: {read.route} at {size:,} records")
                    ours[size] = read_units.counted(system, read)
                    if read.old:
                        theirs[size] = read_units.counted_before(read, read.old, size)
            for read, (ours, theirs) in zip(system.reads, counts, strict=True):
                found.append(Counted(name, read.route, read.what, read.old.design if read.old else "", ours, theirs))
    return found


def writes(engine: Engine, instances: Sequence[Instance], progress: Progress) -> Iterator[Measured]:
    """Each on tables of its own, of which nothing but its item is known."""
    for write in write_units.writes():
        progress.update(write.what)
        with stack_tables.made(engine, instances, write.system) as stack:
            if write.system in stack.environments:
                yield write_units.measured(stack, write)


def whole_histories(engine: Engine) -> Iterator[History]:
    """At some lengths, and at the last that an item can have."""
    size = int(volumes.workload("chat_sessions").SETTINGS["message_bytes"])
    most = old_designs.most_messages(size)
    table = stack_tables.definition(f"bench-{uuid.uuid4().hex[:8]}-history", id="S")
    with stack_tables.tables(engine, [table]):
        for messages in (*(one for one in HISTORIES if one < most), most):
            units = old_designs.history_units(engine.client(), table["TableName"], messages, size)
            if units:
                yield History(messages, *units)


def _telling(progress: Progress, system: str, size: int) -> Any:
    return lambda done: progress.update(f"{system}: {done:,} written, to have {size:,} records")


def _reckoned(one: Counted, largest: int) -> Counted:
    """For more records than were counted: scans grow with the bytes that they read, ours read what they read before."""
    last = max(one.ours)
    ours, theirs = dict(one.ours), dict(one.theirs)
    for size in (size for size in (*SIZES, largest) if last < size <= largest):
        ours[size] = one.ours[last]
        if one.theirs:
            known = one.theirs[last]
            theirs[size] = None if known is None or one.design == read_units.HISTORY else known * size / last
    return one._replace(ours=ours, theirs=theirs)


def _excess(one: Measured) -> float:
    """How many times the least is written. What the engine counts of a transaction may be other than AWS's count."""
    taken = one.written if any(line.times > 1 for line in one.lines) else max(one.written, one.counted)
    return taken / one.least


def _of_reads(found: Sequence[Counted]) -> Detail:
    sizes = sorted(found[0].ours)
    columns = ["call", *(f"{size:,}" for size in sizes), "before", *(f"{size:,}" for size in sizes), "times less"]
    rows = []
    for one in found:
        theirs = [_before(one, size) for size in sizes]
        ratio = "" if one.ratio is None else f"{one.ratio:,.0f}"
        rows.append([one.name, *(f"{one.ours[size]:g}" for size in sizes), one.design or "the same", *theirs, ratio])
    return Detail("Read units of a call, by records stored", columns, rows)


def _before(one: Counted, size: int) -> str:
    if size not in one.theirs:
        return ""
    units = one.theirs[size]
    return "does not fit" if units is None else f"{units:,g}"


def _arithmetic(written: Iterable[Measured]) -> Detail:
    columns = ["write", "what is written", "how often", "KB", "units a KB", "units", "why"]
    rows = [
        [one.write.what if number == 0 else "", line.what, str(line.items), str(line.kilobytes), str(line.times),
         f"{line.units:g}", line.why]
        for one in written
        for number, line in enumerate(one.lines)
    ]  # fmt: skip
    return Detail(
        "The least that a write takes, without Idempotency-Key: 1 unit a KB, 2 in a transaction", columns, rows
    )


def _of_writes(written: Iterable[Measured]) -> Detail:
    columns = ["write", "least", "written, by AWS's rules", "counted by the engine", "beyond the arithmetic"]
    rows = [
        [one.write.what, f"{one.least:g}", f"{one.written:g}", f"{one.counted:g}", ", ".join(one.beyond)]
        for one in written
    ]
    return Detail(
        "Write units of a call (DynamoDB Local adds a transaction's items up before it rounds)", columns, rows
    )


def _before_writes(found: Sequence[Counted], histories: Sequence[History]) -> Detail:
    """Of the old designs: an agent is one item, at one unit a KB; what else they write needs what is there."""
    rows = [["registration", "put_item", "0", "1"]]
    for one in found:
        if one.route == "POST /pets":
            rows += [
                [f"pet, {size:,} before", "scan for the next id", _before(one, size), "1"]
                for size in sorted(one.theirs)
            ]
    rows += [
        [f"message, {one.messages:,} with it", read_units.HISTORY, f"{one.read:g}", f"{one.written:g}"]
        for one in histories
    ]
    if histories:
        rows.append([f"message, {histories[-1].messages + 1:,} with it", read_units.HISTORY, "", "does not fit"])
    return Detail("The same before", ["write", "design", "read units", "write units"], rows)


def _chart(compared: Iterable[Counted], size: int) -> Chart:
    values = {
        one.what: {"ours": one.ours[size], one.design: one.theirs[size] or 0.0}
        for one in sorted(compared, key=lambda one: one.ratio or 0.0)
    }
    return Chart(f"A call on {size:,} records", "read units", values, is_logarithmic=True)


def _data(found: Sequence[Counted], written: Sequence[Measured], histories: Sequence[History]) -> dict[str, Any]:
    return {
        "reads": [
            {
                **one._asdict(),
                "ours": {str(size): units for size, units in one.ours.items()},
                "theirs": {str(size): units for size, units in one.theirs.items()},
                "ratio": one.ratio,
            }
            for one in found
        ],
        "writes": [
            {
                "what": one.write.what,
                "least": one.least,
                "written": one.written,
                "counted": one.counted,
                "beyond": one.beyond,
                "lines": [line._asdict() | {"units": line.units} for line in one.lines],
            }
            for one in written
        ],
        "histories": [one._asdict() for one in histories],
    }

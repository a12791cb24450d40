"""The bench's counts of capacity: complete, the same as an engine's, and red where a write takes an item more."""

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest

from scripts import volumes
from scripts.applied_state import Instance
from scripts.benchmarks import capacity, read_units, stack_tables, write_units
from scripts.benchmarks.capacity import Counted, History
from scripts.benchmarks.engines import Engine
from scripts.console import CommandError, Progress
from tests.contract import engines
from tests.contract.declared_instances import function_of, tables_of
from tests.contract.systems import SYSTEMS
from tests.local_aws.conftest import Aws

SIZES = (40, 60)


class Counts:
    """All that the bench counts, at small sizes, on one engine."""

    def __init__(self, url: str, instances: list[Instance]) -> None:
        self.instances = instances
        self.engine = Engine(url)
        with nullcontext(Progress("test")) as progress:
            self.reads = capacity.reads(self.engine, instances, SIZES, progress)
            self.writes = list(capacity.writes(self.engine, instances, progress))


@pytest.fixture(scope="module")
def computed(embedded_aws: Aws) -> Iterator[Counts]:
    """From the sizes of items."""
    running = embedded_aws.running
    with ExitStack() as stack:
        instances = []
        for name, system in SYSTEMS.items():
            application = stack.enter_context(system.new(engines.Engine("embedded", running.endpoint_url)))
            instances += [*tables_of(application, name), function_of(application, name)]
        yield Counts(running.endpoint_url, instances)


def test_every_route_that_reads_is_measured(computed: Counts) -> None:
    reading = {
        (system, route)
        for system in SYSTEMS
        for route in volumes.routes(system)
        if route.startswith("GET ") or is_read(system, route)
    }
    # an add looks up its id
    assert {(one.system, one.route) for one in computed.reads} == reading | {("pet_store", "POST /pets")}


def is_read(system: str, route: str) -> bool:
    method, path = route.split(" ")
    return SYSTEMS[system].contract.document["paths"][path][method.lower()].get("x-access") == "read"


def test_ours_are_flat_where_the_old_designs_grow(computed: Counts) -> None:
    for one in computed.reads:
        assert one.growth == 1.0, one
        if one.design:
            small, large = (one.theirs[size] or 0.0 for size in SIZES)
            # pets are so small that 4 KB hold all of them here
            assert large > 1.2 * small or one.system == "pet_store", one


def test_the_sizes_of_items_give_what_an_engine_counts(computed: Counts) -> None:
    if missing := engines.missing("dynoxide"):
        pytest.skip(missing)
    with engines.running("dynoxide") as engine:
        assert engine.url
        counted = Counts(engine.url, computed.instances)
    for one, other in zip(counted.reads, computed.reads, strict=True):
        assert one == other
    assert [(one.lines, one.written, one.counted) for one in counted.writes] == [
        (one.lines, one.written, one.counted) for one in computed.writes
    ]


def test_writes_take_the_least(computed: Counts) -> None:
    for one in computed.writes:
        assert one.written == one.counted == one.least, one
        assert not one.beyond


def test_a_write_of_an_item_more_is_above_the_least(computed: Counts) -> None:
    write = write_units.writes()[0]
    with stack_tables.made(computed.engine, computed.instances, write.system) as stack:
        found = write_units.measured(stack, write._replace(least=write.least[1:]))
    assert capacity._excess(found) > 1
    assert len(found.beyond) == 1


def test_a_part_names_the_worst_of_all(computed: Counts) -> None:
    flat = Counted("a", "GET /a", "one", "scan", {100: 2.0, 1000: 2.0}, {100: 10.0, 1000: 2000.0})
    grown = Counted("a", "GET /b", "one", "scan", {100: 2.0, 1000: 3.0}, {100: 10.0, 1000: 900.0})
    same = Counted("a", "GET /c", "one", "", {100: 1.0, 1000: 1.0}, {})
    ends = Counted("a", "GET /d", "one", read_units.HISTORY, {100: 1.0, 1000: 1.0}, {100: 5.0, 1000: None})
    found = capacity.part([flat, grown, same, ends], computed.writes, [History(10, 1, 2)], is_computed=False)
    growth, ratio, least = found.rows
    assert "GET /b" in growth.what
    assert growth.value == 1.5
    assert "GET /b" in ratio.what
    assert ratio.value == 300
    assert least.value == 1
    assert not any(row.is_computed for row in found.rows)


def test_an_engine_that_makes_its_units_up_is_refused(computed: Counts) -> None:
    capacity.check_counting(computed.engine)
    with engines.running("moto") as engine:
        assert engine.url
        with pytest.raises(CommandError, match=r"does not count capacity: it tells (0\.5|1\.0) for 3 units"):
            capacity.check_counting(Engine(engine.url))


def test_what_is_reckoned_grows_with_the_records() -> None:
    counted = Counted("a", "GET /a", "one", "scan", {100: 2.0, 1000: 2.0}, {100: 10.0, 1000: 100.0})
    found = capacity._reckoned(counted, 100_000)
    assert found.ours == {100: 2.0, 1000: 2.0, 10_000: 2.0, 100_000: 2.0}
    assert found.theirs == {100: 10.0, 1000: 100.0, 10_000: 1000.0, 100_000: 10_000.0}

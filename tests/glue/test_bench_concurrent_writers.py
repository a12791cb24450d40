"""What the bench tells of writers at the same time: whose records are there, lost, doubled, out of order."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, nullcontext
from typing import Any

import pytest

from scripts.applied_state import Instance
from scripts.benchmarks import concurrent_writers
from scripts.benchmarks.concurrent_writers import CONDITION, NO_CONDITION, OURS, PETS, SESSION, Sample, Size, Written
from scripts.benchmarks.engines import Engine
from scripts.console import CommandError, Progress
from tests.contract import engines
from tests.contract.declared_instances import function_of, tables_of
from tests.contract.systems import SYSTEMS
from tests.local_aws.conftest import Aws

SIZE = Size(records=60, writers=3, seconds=0.2)


@pytest.fixture(scope="module")
def samples(embedded_aws: Aws) -> Iterator[dict[str, Mapping[str, list[Sample]]]]:
    """One round of each, by few writers."""
    running = embedded_aws.running
    with ExitStack() as stack, nullcontext(Progress("test")) as progress:
        instances: list[Instance] = []
        for name in ("pet_store", "chat_sessions"):
            application = stack.enter_context(SYSTEMS[name].new(engines.Engine("embedded", running.endpoint_url)))
            instances += [*tables_of(application, name), function_of(application, name)]
        engine = Engine(running.endpoint_url)
        yield {
            name: concurrent_writers.rounds_of(scenario, engine, instances, SIZE, 1, progress, (OURS, CONDITION))
            for name, scenario in concurrent_writers.SCENARIOS.items()
        }


@pytest.mark.parametrize("name", [PETS, SESSION])
def test_ours_keep_all_in_order(samples: Any, name: str) -> None:
    (found,) = samples[name][OURS]
    assert found.acknowledged >= SIZE.writers
    assert found.kept == found.acknowledged
    assert found.wrong == found.refused == 0


@pytest.mark.parametrize("name", [PETS, SESSION])
def test_a_condition_keeps_all_of_theirs(samples: Any, name: str) -> None:
    (found,) = samples[name][CONDITION]
    assert found.kept == found.acknowledged > 0
    assert found.wrong == 0


def test_a_part_has_the_goals_and_the_records_of_all_ways(samples: Any) -> None:
    lossy = {NO_CONDITION: [Sample(10, 1, 9, 9, 0, 0, 2.0)]}
    found = concurrent_writers.part({name: one | lossy for name, one in samples.items()}, {PETS: SIZE, SESSION: SIZE})
    assert [(row.bound, row.goal) for row in found.rows] == [("at least", 10.0), ("at least", 10.0), ("at most", 0.0)]
    assert "90% are lost" in found.rows[2].against
    assert len(found.tables[0].rows) == 6
    assert found.data[PETS]["median_kept_per_second"][OURS] > 0


def written(*acknowledged: tuple[str, Any], refused: int = 0) -> Written:
    return Written(list(acknowledged), refused, 10.0, 12.0)


def test_what_is_not_there_under_its_key_is_lost() -> None:
    one = concurrent_writers.sample(
        [written(("a", 1), ("b", 2)), written(("c", 2), ("d", 3))], [("a", 1), ("c", 2)], is_consecutive=True
    )
    assert one == Sample(acknowledged=4, kept=2, lost=2, doubled=1, disordered=0, refused=0, seconds=2.0)
    assert one.throughput == 1.0


def test_what_is_there_twice_or_in_another_order_is_told() -> None:
    doubled = concurrent_writers.sample([written(("a", None))], [("a", 0), ("a", 1)], is_consecutive=False)
    assert (doubled.kept, doubled.doubled) == (1, 1)
    swapped = concurrent_writers.sample([written(("a", 1), ("b", 2))], [("b", 2), ("a", 1)], is_consecutive=False)
    assert swapped.disordered == 2, "the keys, and the writer's own order"
    gap = [("a", 1), ("b", 3)]
    assert concurrent_writers.sample([written(*gap)], gap, is_consecutive=True).disordered == 1
    assert concurrent_writers.sample([written(*gap, refused=1)], gap, is_consecutive=True).disordered == 0


def test_who_keeps_nothing_counts_as_with_one_record() -> None:
    ours, none = Sample(40, 40, 0, 0, 0, 0, 2.0), Sample(9, 0, 9, 9, 0, 0, 2.0)
    assert concurrent_writers.ratio_of({OURS: [ours], NO_CONDITION: [none], CONDITION: [none]})[0] == 40.0


def test_a_writer_that_fails_ends_the_round() -> None:
    place = concurrent_writers.Place("http://127.0.0.1:1", {}, "nowhere")
    with pytest.raises(CommandError, match="no answer"):
        concurrent_writers.writers.at_once(PETS, OURS, place, SIZE)

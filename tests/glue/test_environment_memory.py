"""A leak is told from a process that finds its size, and from chance."""

from scripts.environment_memory import LEAK_BYTES_PER_INVOCATION, Growth, MemorySamples, Sample

MEGABYTE = 1 << 20
FUNCTIONS = {"pet_store": "local-pet-store"}


def growth(*environments: list[tuple[int, int]]) -> Growth:
    """Of samples as (invocations, bytes), a list an environment."""
    samples = MemorySamples()
    for number, taken in enumerate(environments):
        for sample in taken:
            samples.add("local-pet-store", str(number), Sample(*sample))
    return samples.growth(FUNCTIONS)["pet_store"]


def kept(bytes_per_invocation: int, start: int = 1) -> list[tuple[int, int]]:
    """An environment that keeps something of each request."""
    return [(count, 20 * MEGABYTE + count * bytes_per_invocation) for count in range(start, 100)]


def test_a_leak_shows_however_small_beside_the_whole() -> None:
    found = growth(*[kept(2 * LEAK_BYTES_PER_INVOCATION)] * 3)
    assert (found.is_growing, found.environments) == (True, 3)
    assert found.bytes_per_invocation == 2 * LEAK_BYTES_PER_INVOCATION


def test_what_is_loaded_in_the_first_calls_is_no_leak() -> None:
    warming_up = [(1, 70 * MEGABYTE), (2, 12 * MEGABYTE), (10, 21 * MEGABYTE), (20, 22 * MEGABYTE), (90, 22 * MEGABYTE)]
    found = growth(warming_up, kept(0))
    assert (found.is_growing, found.bytes_per_invocation, found.invocations) == (False, 0, 70 + 79)


def test_one_environment_that_grew_by_chance_is_no_leak() -> None:
    assert not growth(kept(0), kept(0), [(20, 20 * MEGABYTE), (40, 30 * MEGABYTE)]).is_growing


def test_too_few_calls_are_not_judged() -> None:
    found = growth([(5, MEGABYTE), (29, 50 * MEGABYTE)], [(20, MEGABYTE), (29, 50 * MEGABYTE)])
    assert (found.is_growing, found.environments, found.text()) == (False, 0, "too few calls")
    assert growth() == found

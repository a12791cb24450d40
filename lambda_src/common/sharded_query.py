"""`Table.query` over all shards of a partition, see common.sharding."""

from __future__ import annotations

from heapq import merge

from common.sharding import shard_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from common.table import Item, Key, Table


def reader(table: Table, attribute: str, order: str, count: int) -> Callable[..., tuple[list[Item], Key | None]]:
    """`Table.query`, forwards, over all shards of a partition: `attribute` is its key attribute, `order` the sort key.

    Each shard is asked for its part of the page and some more: only one that holds more than that is asked again. So
    the cost is bounded by the page and the number of shards.
    """

    def query(partition: str, *, limit: int, after: Key | None = None, **how: Any) -> tuple[list[Item], Key | None]:
        part = min(limit, 2 * -(-limit // count) + 1)
        found: list[Item] = []

        def shard(name: str) -> Iterator[tuple[Any, Item]]:
            # a place to go on from need not be one where something is
            start, ask = after and {**after, attribute: name}, part
            while True:
                items, start = table.query(name, limit=ask, after=start, **how)
                for item in items:
                    yield _sortable(item[order]), item
                if start is None:
                    return
                # what is left of the page may lie all in this one
                ask = max(part, limit - len(found))

        place: Any = None
        shards = [shard(shard_name(partition, one)) for one in range(count)]
        for here, item in merge(*shards, key=lambda one: one[0]):
            if here != place:  # an index may show for a moment what moves from one shard to another in both
                place = here
                found.append(item)
                if len(found) == limit:
                    return found, item
        return found, None

    return query


def _sortable(value: Any) -> Any:
    """In DynamoDB's order: text by its UTF-8 bytes."""
    return value.encode(errors="surrogatepass") if isinstance(value, str) else value

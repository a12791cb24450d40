"""What verification writes, reads and removes in each system: one module a system, each with `write(api)`."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Record(NamedTuple):
    """Something written through the API, and how to find it again.

    `table` is the table's logical name in the outputs, `key` and `attributes` are in DynamoDB's JSON, `lists_it` tells
    whether the answer to `query_path` holds the record.
    """

    table: str
    key: dict[str, Any]
    attributes: dict[str, Any]
    read_path: str
    query_path: str
    lists_it: Callable[[dict[str, Any]], bool]
    delete_path: str

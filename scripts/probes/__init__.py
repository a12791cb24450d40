"""What verification writes, reads and removes in each system: one module a system.

Each has `write(api, tables, environment)`: it writes through the API and yields a Record for each thing as soon as that
is written, so that it is removed even if a later write fails. `tables` are the tables' names by logical name,
`environment` are the function's variables.

And each has `READS`: paths to get, with their headers, that ask tables and indexes for what is not there.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from scripts import aws, paths

paths.functions_can_be_imported()
Reads = tuple[tuple[str, Mapping[str, str]], ...]


class Record(NamedTuple):
    """Something written through the API, how to find it again, and how to take it away.

    `table` is the table's logical name in the outputs, `key` and `attributes` are in DynamoDB's JSON. `shows_it` and
    `lists_it` tell whether the bodies answered to `read_path` and `query_path` hold the record. `remove` takes
    away all that was written with it, also where persistence is memory and DynamoDB holds nothing of it; it may be
    called twice. `headers` go with each read.
    """

    table: str
    key: dict[str, Any]
    attributes: dict[str, Any]
    read_path: str
    shows_it: Callable[[Any], bool]
    query_path: str
    lists_it: Callable[[Any], bool]
    remove: Callable[[], None]
    headers: Mapping[str, str] = MappingProxyType({})


def delete_item(table_name: str, key: dict[str, Any]) -> None:
    """Straight from DynamoDB, for what the API has no DELETE for; nothing happens if it is not there."""
    aws.client("dynamodb").delete_item(TableName=table_name, Key=key)

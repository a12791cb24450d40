"""Profiles as they are stored and as they are shown."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Item


def shown(item: Item) -> dict[str, Any]:
    """The record as it came in, with what is ours: id, version and times."""
    if not is_ours(item):
        from agent_profiles.older import record_of

        return record_of(item) | {"id": item["id"], "version": 0}
    ours = {name: item[name] for name in ("id", "version", "createdAt", "updatedAt")}
    return {**item["profile_data"], **ours}


def version(item: Item | None) -> int | None:
    """None for no profile, 0 for one that an older application wrote."""
    if item is None:
        return None
    return item["version"] if is_ours(item) else 0


def is_ours(item: Item) -> bool:
    """Whether this application wrote it, with the facts that it is found by; see facts.py."""
    return isinstance(item.get("indexed"), dict)

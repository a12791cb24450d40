"""Items that an older application wrote: any attribute may be missing, or of a type that JSON does not have."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Item

# derived from the others
_DERIVED = ("location_city", "profile_data")


def record_of(item: Item) -> dict[str, Any]:
    """What it kept as `profile_data`, and the attributes that are missing there."""
    kept = item.get("profile_data")
    attributes = {name: value for name, value in item.items() if name not in _DERIVED}
    record: dict[str, Any] = plain(attributes | (kept if isinstance(kept, dict) else {}))
    return record


def spellings(words: str, normal_form: str) -> list[str]:
    """How an index is asked for words of which only the exact spelling can be found."""
    return list(dict.fromkeys([words, normal_form, normal_form.title()]))


def plain(value: Any) -> Any:
    """As JSON has it: sets as sorted lists, bytes as base64."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(one) for one in sorted(value)]
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode()
    return value

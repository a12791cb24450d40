"""The entries by which `POST /match` finds a profile: items of their own, in a table of their own."""

from collections.abc import Mapping
from typing import Any

from agent_profiles import changes, facts
from common.change import Change, Writing
from common.table import Item


class MatchEntries:
    """`profiles` and `match` are the names of both tables."""

    def __init__(self, profiles: str, match: str) -> None:
        # all that `storing` asks of a table
        self.profiles: Any = Writing(profiles, {"id": "S"})
        self.match_key = {"entry": "S", "position": "S"}
        self.match: Any = Writing(match, self.match_key)

    def of(self, item: Item | None) -> list[Change]:
        """Puts of what belongs to a profile's item; older applications wrote items without entries."""
        return [self.match.put(entry) for entry in facts.stored_entries(item)] if item else []

    def righting(self, own: list[Change], found: list[Item], profile_id: str, stored: Item | None) -> list[Change]:
        """What makes those of `own` that were `found` fit `stored`, if it is still that; nothing where they do."""
        belonging = {_place(change.key): change for change in self.of(stored)}
        wrong: list[Change] = []
        for entry in found:
            change = next(one for one in own if _place(one.key) == _place(entry))
            right = belonging.get(_place(entry))
            if right is None:
                wrong.append(self.match.delete(change.key))
            elif right.item != entry:
                wrong.append(right)
        return [self._unchanged(profile_id, stored), *wrong] if wrong else []

    def _unchanged(self, profile_id: str, stored: Item | None) -> Change:
        """The condition alone: it writes what is there."""
        if stored is None:
            return self.profiles.delete({"id": profile_id}, expect={"id": None})  # type: ignore[no-any-return]
        return self.profiles.put(stored, expect=changes.unchanged(stored))  # type: ignore[no-any-return]


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["entry"], item["position"]

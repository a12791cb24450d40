"""Profiles: an item each, and the entries of the match table that belong to it, changed in one transaction."""

from __future__ import annotations

from agent_profiles.items import shown, version
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.change import Change
    from common.table import Database, Item, Table

    Profile = dict[str, Any]

MAXIMUM_KEY_BYTES = 2048
# How often a write that lost against another is tried again
MAXIMUM_RACES = 10


class ProfileStore:
    def __init__(self, database: Database, profiles: Table, match: Table, shards_written: int = 1) -> None:
        self._database = database
        self._profiles = profiles
        self._match = match
        self._shards_written = shards_written

    def get(self, profile_id: str) -> Item | None:
        if len(profile_id.encode(errors="replace")) > MAXIMUM_KEY_BYTES:
            return None
        return self._profiles.get({"id": profile_id})

    def store(
        self,
        profile: Profile,
        check: Callable[[int | None], None],
        also: Callable[[Profile, bool], list[Change]],
    ) -> tuple[Profile, bool]:
        """The profile as it is now, and whether it is new.

        `check` is given the version that is there (None for none) and raises if that must not be replaced;
        `also` is given the result and returns further changes for the same transaction.
        """
        from agent_profiles import changes

        profile_id = profile.get("id")
        for _ in range(MAXIMUM_RACES):
            stored = None if profile_id is None else self._profiles.get({"id": profile_id})
            check(version(stored))
            item, own = changes.storing(
                self._profiles, self._match, profile_id or changes.new_id(), profile, stored, self._shards_written
            )
            result, is_new = shown(item), stored is None
            try:
                self._database.write([*own, *also(result, is_new)])
            except ConditionFailed as error:
                if any(position >= len(own) for position in error.positions):
                    raise
            else:
                return result, is_new
        raise Problem(409, "the profile is being changed by many others at the same time; try again")

    def page(self, limit: int, after: Any, deadline: float) -> tuple[list[Profile], Any]:
        """One page of all profiles, and where the next one begins."""
        from common import paging
        from common.scanning import scan

        if after is not None and not is_key(after):
            raise paging.bad_position()

        def fetch(after_id: Any, count: int) -> tuple[list[tuple[str, Profile]], bool]:
            # one more than is shown, to know whether the page is the last
            items, last = scan(self._profiles, limit=count + 1, after=after_id and {"id": after_id})
            return [(item["id"], shown(item)) for item in items[:count]], len(items) > count or last is not None

        return paging.fill(limit, after, fetch, deadline)


def is_key(value: Any, most: int = MAXIMUM_KEY_BYTES) -> bool:
    """Whether a value can be a key's: a position from outside may be anything."""
    return isinstance(value, str) and 0 < len(value.encode(errors="replace")) <= most

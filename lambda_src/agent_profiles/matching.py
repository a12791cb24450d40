"""Matching: candidates from a bounded number of Queries, judged by their facts, ranked the same way every time.

Each way to look for profiles (job and city, job, city, a tag, price alone) is a partition of the match table, cheapest
first, of which the first `MAXIMUM_CANDIDATES` are looked at. What an older application wrote has no entries there: it
is found through the indexes of the profiles' table, where its job and city stand as they were given.
"""

from __future__ import annotations

from agent_profiles import facts, ranking
from agent_profiles.items import is_ours, shown
from common import paging
from common.dynamodb_json import number_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from agent_profiles.facts import Facts
    from common.table import Item, Table

    Match = dict[str, Any]

MAXIMUM_CANDIDATES = 100
# Profiles read at a time, which may have 400 KB each
MAXIMUM_READ = 25


class Search:
    """`wanted` are facts, `words` those for job and city as they were given; `shards` how many there are to read."""

    def __init__(
        self,
        profiles: Table,
        match: Table,
        indexes: Mapping[str, str],
        wanted: Facts,
        words: Mapping[str, str],
        shards: int = 1,
    ) -> None:
        self._profiles = profiles
        self._indexes = indexes
        self._wanted = wanted
        self._words = words
        self._query: Any = match.query
        if shards > 1:
            from common import sharded_query

            self._query = sharded_query.reader(match, "entry", "position", shards)
        self._found: dict[str, Facts] = {}
        # where there were more candidates than are looked at
        self.cut: list[dict[str, str]] = []

    def page(self, limit: int, after: Any, deadline: float) -> tuple[list[Match], Any]:
        """One page of the matches, best first, and where the next one begins."""
        if after is not None and not _is_place(after):
            raise paging.bad_position()
        self._collect()
        ranked = sorted(
            ranking.place(one, found, self._wanted)
            for one, found in self._found.items()
            if ranking.is_match(found, self._wanted)
        )

        def fetch(place: Any, count: int) -> tuple[list[tuple[list[Any], Match | None]], bool]:
            rest = [one for one in ranked if place is None or one > place]
            part = rest[: min(count, MAXIMUM_READ)]
            # what was found may have changed since: the profiles' own items decide
            items = {item["id"]: item for item in self._profiles.get_many([{"id": one[2]} for one in part])}
            return [(one, self._judged(items.get(one[2]))) for one in part], len(rest) > len(part)

        return paging.fill(limit, after, fetch, deadline)

    def _collect(self) -> None:
        for criterion, words, entry in self._ways():
            entries, more = self._cheapest(entry)
            for one in entries:
                self._found.setdefault(one["id"], one)
            if more:
                self._cut_short(criterion, words, "the cheapest were looked at")
            elif criterion in self._indexes:
                self._collect_older(criterion, words)

    def _ways(self) -> Iterator[tuple[str, str, str]]:
        """The criterion that makes candidates, in which words, and the partition where they are."""
        job, city, tags = (self._wanted.get(name) for name in ("job", "city", "tags"))
        if job and city:
            yield "job and location", f"{job} and {city}", facts.both_entry(job, city)
        if job:
            yield "job", job, facts.job_entry(job)
        if city:
            yield "location", city, facts.city_entry(city)
        for tag in tags or ():
            yield "tags", tag, facts.tag_entry(tag)
        if not (job or city or tags):
            yield "maxPrice", number_text(self._wanted["price"]), facts.ANY_PRICE

    def _cheapest(self, entry: str) -> tuple[list[Item], bool]:
        """Up to `MAXIMUM_CANDIDATES` entries that are not too dear, and whether there are more."""
        ranges = facts.price_ranges(self._wanted.get("price"), entry)
        found: list[Item] = []
        last: Any = None
        for between in ranges:
            # one more than is looked at, to know whether there is one
            left = MAXIMUM_CANDIDATES + 1 - len(found)
            items, last = self._query(entry, limit=left, between=between)
            found += items
            if _are_more(found, last):
                break
        return found[:MAXIMUM_CANDIDATES], _are_more(found, last)

    def _collect_older(self, criterion: str, words: str) -> None:
        from agent_profiles import older

        for form in older.spellings(self._words[criterion], words):
            items, last = self._profiles.query(form, index=self._indexes[criterion], limit=MAXIMUM_CANDIDATES + 1)
            for item in items[:MAXIMUM_CANDIDATES]:
                if not is_ours(item):
                    self._found.setdefault(item["id"], facts.facts_in(item))
            if _are_more(items, last):
                self._cut_short(criterion, form, "of those that an older application stored some may be missing")

    def _cut_short(self, criterion: str, words: str, what: str) -> None:
        detail = f"there are more than {MAXIMUM_CANDIDATES} candidates for {criterion} {words}; {what}"
        self.cut.append({"criterion": criterion, "detail": detail})

    def _judged(self, item: Item | None) -> Match | None:
        """None for what is not there any more, or no match any more."""
        if item is None:
            return None
        found = facts.facts_in(item)
        if not ranking.is_match(found, self._wanted):
            return None
        profile = shown(item)
        return {
            "score": ranking.score(found, self._wanted),
            "reasons": ranking.reasons(profile, found, self._wanted),
            "profile": profile,
        }


def _are_more(found: list[Item], last: Any) -> bool:
    return len(found) > MAXIMUM_CANDIDATES or last is not None


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and [type(one) for one in value] == [int, str, str]

"""What profiles are matched by, and the entries of the match table by which they are found.

Facts are what counts of a profile: `job` and `city` in normal form, `tags` (normal forms, sorted), `price`; each left
out where it is not known. They are kept on the profile's item as `indexed`, and on each of its entries, so that a
candidate is judged by any of them. An entry's `position` puts the cheapest first, and those without a price last.

A way that many profiles are found by may be spread over shards, see common.sharding; the profile's `entryShards` is the
number of shards that the one of its entries was chosen from, if that is more than one.
"""

from __future__ import annotations

from decimal import Decimal

from agent_profiles.items import is_ours
from common.normal_form import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.table import Item

    Facts = Mapping[str, Any]
    Number = int | Decimal

# 44 entries removed, 44 put, the profile and an idempotency marker stay under a transaction's 100
MAXIMUM_TAGS = 40
MAXIMUM_NORMAL_BYTES = 512
NO_PRICE = "~"
ANY_PRICE = "price"


def facts_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Of a profile as it came in, or as an older application stored it: what has another type is not known."""
    price, tags = profile.get("averagePrice"), profile.get("tags")
    found: dict[str, Any] = {
        "job": normal(text(profile.get("job"))),
        "city": city(profile.get("location")),
        "tags": sorted({normal(tag) for tag in _texts(tags)} - {""}),
    }
    facts = {name: value for name, value in found.items() if value}
    if isinstance(price, (int, Decimal)) and not isinstance(price, bool):
        facts["price"] = price
    return facts


def facts_in(item: Item) -> Facts:
    """Of a stored profile, whoever stored it."""
    if is_ours(item):
        return item["indexed"]  # type: ignore[no-any-return]
    from agent_profiles.older import record_of

    record = record_of(item)
    return facts_of(record | {"location": location_parts(record.get("location")) or item.get("location_city")})


def entries(profile_id: str, facts: Facts, shards: int = 1) -> list[Item]:
    """All entries of a profile: one for each way to look for it, in the profile's own one of so many shards."""
    job, town = facts.get("job"), facts.get("city")
    ways = [tag_entry(tag) for tag in facts.get("tags", ())]
    ways += [job_entry(job)] if job else []
    ways += [city_entry(town)] if town else []
    ways += [both_entry(job, town)] if job and town else []
    ways += [ANY_PRICE] if "price" in facts else []
    if shards > 1:
        from common.sharding import shard_name, shard_of

        ways = [shard_name(way, shard_of(profile_id, shards)) for way in ways]
    position = f"{price_text(facts.get('price'))}#{profile_id}"
    return [{"entry": way, "position": position, "id": profile_id, **facts} for way in ways]


def stored_entries(item: Item) -> list[Item]:
    """Those of a stored profile, if it has any."""
    shards = item.get("entryShards")
    return entries(item["id"], item["indexed"], shards if isinstance(shards, int) else 1) if is_ours(item) else []


def job_entry(job: str) -> str:
    return f"job#{job}"


def city_entry(town: str) -> str:
    return f"city#{town}"


def both_entry(job: str, town: str) -> str:
    # no normal form holds two spaces: no two pairs have one text
    return f"job+city#{job}  {town}"


def tag_entry(tag: str) -> str:
    return f"tag#{tag}"


def price_text(price: Number | None) -> str:
    """Texts in the order of the prices: 3 digits for the magnitude, then the price's own; none is behind them all."""
    if price is None:
        return NO_PRICE
    value = Decimal(price)
    if value <= 0:
        return "000"
    digits = "".join(map(str, value.as_tuple().digits)).rstrip("0")
    return f"{value.adjusted() + 200}{digits}"


def price_ranges(most: Number | None, entry: str) -> list[tuple[str, str]]:
    """The ranges of positions, in order, that hold what costs no more, and what has no price."""
    cheapest, none = "0", (NO_PRICE, f"{NO_PRICE}$")
    if most is None:
        return [(cheapest, none[1])]
    # `$` comes right behind the `#` between price and id
    priced = (cheapest, f"{price_text(most)}$")
    return [priced] if entry == ANY_PRICE else [priced, none]


def city(location: Any) -> str:
    """The normal form of a location's first part."""
    parts = location_parts(location)
    return normal(parts[0]) if parts else ""


def location_parts(location: Any) -> list[str]:
    """["Berlin", "Germany"], given so or as "Berlin, Germany"."""
    if isinstance(location, str):
        location = location.split(",")
    return [part.strip() for part in _texts(location) if part.strip()]


def too_long(words: str) -> str | None:
    """What is wrong with the length of words to be compared, if anything is."""
    size = len(normal(words).encode(errors="replace"))
    return f"must have at most {MAXIMUM_NORMAL_BYTES} bytes in its normal form" if size > MAXIMUM_NORMAL_BYTES else None


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

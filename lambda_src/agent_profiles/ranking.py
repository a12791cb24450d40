"""How well facts meet what is wanted, in points, and in words."""

from __future__ import annotations

from agent_profiles.facts import location_parts, price_text, text
from common.dynamodb_json import number_text
from common.normal_form import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_profiles.facts import Facts

# Job and location together outweigh either with everything else
POINTS = {"job": 40, "location": 35, "tags": 15, "maxPrice": 10}


def met(facts: Facts, wanted: Facts) -> Iterator[tuple[str, int]]:
    """The criteria that are met, each with its points; of tags, the share that is there counts."""
    if "job" in wanted and facts.get("job") == wanted["job"]:
        yield "job", POINTS["job"]
    if "city" in wanted and facts.get("city") == wanted["city"]:
        yield "location", POINTS["location"]
    if shared := set(wanted.get("tags", ())) & set(facts.get("tags", ())):
        yield "tags", POINTS["tags"] * len(shared) // len(wanted["tags"])
    if "price" in wanted and "price" in facts and facts["price"] <= wanted["price"]:
        yield "maxPrice", POINTS["maxPrice"]


def score(facts: Facts, wanted: Facts) -> int:
    return sum(points for _, points in met(facts, wanted))


def is_match(facts: Facts, wanted: Facts) -> bool:
    """Whether it is not too dear, and meets something besides the price unless the price is all that is wanted."""
    if "price" in wanted and facts.get("price", 0) > wanted["price"]:
        return False
    besides = {name: value for name, value in wanted.items() if name != "price"}
    return score(facts, besides or wanted) > 0


def place(profile_id: str, facts: Facts, wanted: Facts) -> list[Any]:
    """Sorts by score, then cheapest first, then id."""
    return [-score(facts, wanted), price_text(facts.get("price")), profile_id]


def reasons(record: dict[str, Any], facts: Facts, wanted: Facts) -> list[dict[str, Any]]:
    return [
        {"criterion": criterion, "points": points} | _words(criterion, record, facts, wanted)
        for criterion, points in met(facts, wanted)
    ]


def _words(criterion: str, record: dict[str, Any], facts: Facts, wanted: Facts) -> dict[str, Any]:
    """What was found, in the profile's own words."""
    if criterion == "job":
        job = text(record.get("job")).strip() or facts["job"]
        return {"found": job, "detail": f"the job is {job}"}
    if criterion == "location":
        where = ", ".join(location_parts(record.get("location"))) or facts["city"]
        return {"found": where, "detail": f"it is in {where}"}
    if criterion == "tags":
        asked = set(wanted["tags"])
        different = {
            normal(tag): tag.strip() for tag in record.get("tags", ()) if isinstance(tag, str) and normal(tag) in asked
        }
        tags = [different[tag] for tag in sorted(different)]
        return {"found": tags, "detail": f"{len(tags)} of {len(asked)} tags: {', '.join(tags)}"}
    price = facts["price"]
    return {"found": price, "detail": f"the price {number_text(price)} is at most {number_text(wanted['price'])}"}

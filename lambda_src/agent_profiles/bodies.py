"""What requests may say; openapi.yaml says it to the callers."""

from __future__ import annotations

from agent_profiles.facts import MAXIMUM_TAGS, facts_of, location_parts, too_long
from common.dynamodb_json import marshal
from common.errors import Problem
from common.validation import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAXIMUM_ID = 200
MAXIMUM_NAME = 256
MAXIMUM_ADDRESS = 1024
MAXIMUM_WORDS = 128
MAXIMUM_TAG = 64
MAXIMUM_LOCATION = 512
MAXIMUM_LOCATION_PARTS = 10
MAXIMUM_CONTENT = 100_000
MAXIMUM_TIMESTAMP = 64
MAXIMUM_PRICE = 1_000_000_000_000
# each is a Query of its own
MAXIMUM_TAGS_ASKED = 10
# whatever stands in a path as one segment and comes back as it was
ID_PATTERN = r"(?![.]{1,2}$)[^/]+"
ID_HINT = "no path: without /, and not . or .."


def profile(body: dict[str, Any]) -> None:
    """400 naming every field that is wrong; what is not known here may be anything that can be stored."""
    marshal(body)
    fields = Fields(body)
    if body.get("id") is not None:
        _id(fields, "id")
    fields.text("name", most=MAXIMUM_NAME)
    fields.optional_text("address", may_be_empty=True, most=MAXIMUM_ADDRESS, free=True)
    fields.optional_text("job", may_be_empty=True, most=MAXIMUM_WORDS, check=too_long)
    fields.number("averagePrice", low=0, high=MAXIMUM_PRICE)
    fields.texts("tags", most=MAXIMUM_TAGS, each=MAXIMUM_TAG, check=too_long, required=False)
    _location(fields, body, may_be_empty=True)
    fields.optional_text("description", may_be_empty=True, most=MAXIMUM_CONTENT, free=True)
    fields.optional_text("timestamp", may_be_empty=True, most=MAXIMUM_TIMESTAMP)
    fields.done(only_known=False)


def wanted(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The facts to match by, and the words for job and city as they were given."""
    fields = Fields(body)
    job = fields.optional_text("job", most=MAXIMUM_WORDS, check=too_long)
    _location(fields, body, may_be_empty=False)
    fields.texts("tags", most=MAXIMUM_TAGS_ASKED, each=MAXIMUM_TAG, check=too_long, required=False)
    most = fields.number("maxPrice", low=0, high=MAXIMUM_PRICE)
    fields.done()
    facts = facts_of(body | {"averagePrice": most})
    if not facts:
        missing = "name at least one of job, location, tags and maxPrice to match by"
        raise Problem(400, missing, errors=[{"pointer": "#", "detail": missing}])
    return facts, {"job": (job or "").strip(), "location": "".join(location_parts(body.get("location"))[:1])}


def message(body: dict[str, Any]) -> dict[str, str]:
    fields = Fields(body)
    values = {
        "conversation_id": _id(fields, "conversation_id"),
        "agent_id": _id(fields, "agent_id"),
        "message": fields.text("message", most=MAXIMUM_CONTENT, free=True),
        "sender": fields.text("sender", most=MAXIMUM_NAME),
    }
    fields.done()
    return values


def _id(fields: Fields, name: str) -> str:
    return fields.text(name, most=MAXIMUM_ID, pattern=ID_PATTERN, hint=ID_HINT)


def _location(fields: Fields, body: dict[str, Any], *, may_be_empty: bool) -> None:
    if isinstance(body.get("location"), list):
        fields.texts("location", most=MAXIMUM_LOCATION_PARTS, each=MAXIMUM_WORDS, check=too_long)
    else:
        fields.optional_text("location", may_be_empty=may_be_empty, most=MAXIMUM_LOCATION, check=_city_too_long)


def _city_too_long(location: str) -> str | None:
    return too_long("".join(location_parts(location)[:1]))

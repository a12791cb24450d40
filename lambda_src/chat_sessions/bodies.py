"""What a new session and a new message may say; openapi.yaml says it to the callers."""

from __future__ import annotations

from common.validation import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
MAXIMUM_USER = 256
MAXIMUM_MODE = 64
MAXIMUM_ROLE = 64
# Far over what one item holds, which is a 413
MAXIMUM_CONTENT = 10_000_000
MAXIMUM_TOKENS = 1_000_000_000
MAXIMUM_CONTEXT_IDS = 100
MAXIMUM_CONTEXT_ID = 512


def session(body: dict[str, Any]) -> dict[str, Any]:
    """user_id, pedagogy_mode and id, None where left out; 400 naming every field that is wrong."""
    fields = Fields(body)
    values = {
        "id": fields.optional_text("id", most=128, pattern=ID_PATTERN, hint="letters, digits and . _ : @ ~ - only"),
        "user_id": fields.optional_text("user_id", most=MAXIMUM_USER),
        "pedagogy_mode": fields.optional_text("pedagogy_mode", most=MAXIMUM_MODE),
    }
    fields.done()
    return values


def message(body: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(body)
    values = {
        "role": fields.text("role", most=MAXIMUM_ROLE),
        "content": fields.text("content", most=MAXIMUM_CONTENT, free=True),
        "tokens": fields.integer("tokens", low=0, high=MAXIMUM_TOKENS) or 0,
        "context_ids": fields.texts("context_ids", most=MAXIMUM_CONTEXT_IDS, each=MAXIMUM_CONTEXT_ID, required=False),
    }
    fields.done()
    return values

"""What adding a pet asks for."""

from __future__ import annotations

from common.validation import Fields
from pet_store.store import MAXIMUM_PRICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.change import Number

MAXIMUM_NAME = 256
MAXIMUM_TYPE = 64


def pet(body: Mapping[str, Any]) -> tuple[str, str, Number]:
    """Name, type and price; 400 with all that is wrong."""
    fields = Fields(body)
    name, kind = fields.text("name", most=MAXIMUM_NAME), fields.text("type", most=MAXIMUM_TYPE)
    price = fields.number("price", low=0, high=MAXIMUM_PRICE, required=True)
    fields.done()
    return name, kind, price or 0

"""The reply backend that needs nothing: it says what was said."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def reply(asked: Mapping[str, Any], deadline: float) -> str:  # noqa: ARG001 - as every backend
    return str(asked["message"])

"""Reading a JSON object field by field, collecting everything that is wrong with it into one answer."""

from __future__ import annotations

import re
from decimal import Decimal

from common.dynamodb_json import marshal
from common.errors import InvalidValue, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Number = int | Decimal

MAXIMUM_ERRORS = 20
# Control characters, and halves of surrogate pairs, which JSON can name but UTF-8 can't
_UNFIT = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_BROKEN = "[\ud800-\udfff]"


class Fields:
    """Each reader takes a field's name and gives its value, or a stand-in after noting what is wrong with it."""

    def __init__(
        self, value: Mapping[str, Any], pointer: str = "#", errors: list[dict[str, str]] | None = None
    ) -> None:
        self._value = value
        self._pointer = pointer
        self._errors = [] if errors is None else errors
        self._known: list[str] = []
        self._children: list[Fields] = []

    def text(self, name: str, **rules: Any) -> str:
        """A text of 1 to `most` characters, not blank, without control characters unless `free`.

        `pattern` (with its `hint`) or `check` say what else it must be.
        """
        return self._checked_text((name,), self._take(name), **rules)

    def optional_text(self, name: str, *, may_be_empty: bool = False, **rules: Any) -> str | None:
        """As `text`, None if the field is left out or null."""
        value = self._take(name)
        if value is None:
            return None
        if may_be_empty and value == "":
            return ""
        return self._checked_text((name,), value, **rules)

    def texts(
        self,
        name: str,
        *,
        most: int,
        each: int,
        check: Callable[[str], str | None] | None = None,
        required: bool = True,
    ) -> list[str]:
        """A list of up to `most` texts of 1 to `each` characters; empty if it is not required and left out or null."""
        value = self._take(name)
        if value is None and not required:
            return []
        if not isinstance(value, list):
            self._note(name, detail="must be a list of texts" if value is not None else "is missing")
            return []
        if len(value) > most:
            self._note(name, detail=f"must hold at most {most} texts, not {len(value)}")
            return []
        return [self._checked_text((name, str(i)), one, most=each, check=check) for i, one in enumerate(value)]

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        """A whole number within bounds; None if the field is left out."""
        value = self._take(name)
        if value is None and name not in self._value:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._note(name, detail=f"must be a whole number from {low} to {high}")
            return None
        return value

    def number(self, name: str, *, low: Number, high: Number, required: bool = False) -> Number | None:
        """A number within bounds, its decimal value exact; None if it is not required and left out or null."""
        value = self._take(name)
        if value is None:
            if required:
                self._note(name, detail="is missing")
            return None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not low <= value <= high:
            self._note(name, detail=f"must be a number from {low} to {high}")
            return None
        return value

    def json_object(self, name: str) -> dict[str, Any] | None:
        """An object of any JSON that an attribute of an item can hold; None if it is left out or null."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._note(name, detail="must be an object")
            return None
        try:
            marshal(value)
        except InvalidValue as error:
            self._note(name, detail=str(error))
            return None
        return value

    def object(self, name: str) -> Fields:
        value = self._take(name)
        if not isinstance(value, dict):
            self._note(name, detail="must be an object" if value is not None else "is missing")
            value = None
        child = Fields(value or {}, f"{self._pointer}/{_escaped(name)}", [] if value is None else self._errors)
        self._children.append(child)
        return child

    def done(self, *, only_known: bool = True) -> None:
        """400 with all that is wrong; unless not `only_known`, fields that nobody asked for are wrong, too."""
        if only_known:
            self._note_unknown()
        if self._errors:
            raise Problem(400, "the body is not as it must be; see errors", errors=self._errors[:MAXIMUM_ERRORS])

    def _note_unknown(self) -> None:
        for name in self._value:
            if name not in self._known:
                self._note(name, detail="is not a known field")
        for child in self._children:
            child._note_unknown()

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._value.get(name)

    def _checked_text(
        self,
        path: tuple[str, ...],
        value: Any,
        *,
        most: int,
        pattern: str = "",
        hint: str = "",
        check: Callable[[str], str | None] | None = None,
        free: bool = False,
    ) -> str:
        wrong = None
        if not isinstance(value, str):
            wrong = "is missing" if value is None else "must be a text"
        elif not value.strip():
            wrong = "must not be empty"
        elif len(value) > most:
            wrong = f"must have at most {most} characters, not {len(value)}"
        # a plain text, as nearly all are, needs no pattern, which would have to be compiled
        elif not (value.isascii() and (free or value.isprintable())) and re.search(_BROKEN if free else _UNFIT, value):
            wrong = "must not hold broken Unicode" if free else "must not hold control characters or broken Unicode"
        elif pattern and not re.fullmatch(pattern, value):
            wrong = f"must be {hint}"
        elif check:
            wrong = check(value)
        if wrong:
            self._note(*path, detail=wrong)
            return ""
        return str(value)

    def _note(self, *path: str, detail: str) -> None:
        self._errors.append({"pointer": "/".join([self._pointer, *map(_escaped, path)]), "detail": detail})


def _escaped(name: str) -> str:
    """A name as part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1").encode(errors="replace").decode()

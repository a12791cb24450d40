"""How moto is patched: a method's replacement gets the original as its first argument."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def replace(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    def decorate(function: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(original, self, *args, **kwargs)

        setattr(owner, name, method)

    return decorate

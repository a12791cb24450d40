"""How moto is patched: a method's replacement gets the original as its first argument; what it looks up anew for each
request, and never changes, is remembered."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import moto.backends
import moto.core.responses


def remember_lookups() -> None:
    """A seventh of the time of each request: its own folders, listed, and each class's methods."""
    folders = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: folders
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)


def replace(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    def decorate(function: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(original, self, *args, **kwargs)

        setattr(owner, name, method)

    return decorate

"""Pets are added one by one, and listed by id or by type and price."""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

from scripts.workloads import IDEMPOTENT, Answer, Sample, Send, Settings, text, with_keys

SETTINGS = MappingProxyType(
    {
        "name_bytes": 10,
        "pets_listed": 25,  # on a page
        "by_type_share": 0.5,  # of the lists: GET /pets?type=…
        IDEMPOTENT: 0.0,
        "pets_stored": None,
    }
)
STORED = MappingProxyType({"pets_stored": "POST /pets"})


def samples(send: Send, settings: Settings) -> Iterator[Sample]:
    def add(headers: dict[str, str] | None = None, kind: str = "dog") -> Answer:
        body = {"name": text(settings["name_bytes"]), "type": kind, "price": 249.99}
        return send("POST", "/pets", body, headers or {})

    add()  # the first of all makes the counter
    for share, headers in with_keys(settings):
        yield Sample("POST /pets", share, partial(add, headers))
    count = max(1, min(100, int(settings["pets_listed"])))
    for _ in range(count + 2):  # more than the page: that is what most pages are
        add(kind="wanted")
    yield Sample("GET /pets", 1 - settings["by_type_share"], lambda: send("GET", f"/pets?limit={count}"))
    yield Sample(
        "GET /pets", settings["by_type_share"], lambda: send("GET", f"/pets?type=wanted&minPrice=1&limit={count}")
    )
    yield Sample("GET /pets/{id}", 1.0, lambda: send("GET", "/pets/1"))

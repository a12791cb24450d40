"""Agents register once, renew their lease often, and are looked for by a capability."""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

from scripts.workloads import IDEMPOTENT, Answer, Sample, Send, Settings, with_keys

SETTINGS = MappingProxyType(
    {
        "capabilities": 3,  # of an agent
        "new_share": 0.1,  # of the registrations; the others renew a lease
        "agents_found": 10,  # by a discovery, on its page
        IDEMPOTENT: 0.0,
        "agents_stored": None,
    }
)
STORED = MappingProxyType({"agents_stored": "POST /agents/register"})
_LEASE_SECONDS = 3600


def samples(send: Send, settings: Settings) -> Iterator[Sample]:
    counter = iter(range(1_000_000))

    def register(agent: str, headers: dict[str, str] | None = None, shared: str = "shared") -> Answer:
        own = [f"{agent}-capability-{i}" for i in range(int(settings["capabilities"]) - 1)]
        profile = {
            "id": agent,
            "name": f"Agent {agent}",
            "endpoint": f"https://{agent}.example.com/agent",
            "capabilities": [shared, *own],
        }
        body = {"profile": profile, "leaseSeconds": _LEASE_SECONDS}
        return send("POST", "/agents/register", body, headers or {})

    def new() -> str:
        return f"agent-{next(counter):08}"

    route = "POST /agents/register"
    for share, headers in with_keys(settings):
        yield Sample(route, share * settings["new_share"], partial(register, new(), headers, "alone"))
    renewed = new()
    register(renewed, shared="alone")
    for share, headers in with_keys(settings):
        yield Sample(route, share * (1 - settings["new_share"]), partial(register, renewed, headers, "alone"))
    found = [new() for _ in range(int(settings["agents_found"]))]
    for agent in found:
        register(agent)
    limit = max(1, min(100, len(found)))
    yield Sample("GET /agents", 1.0, lambda: send("GET", f"/agents?capability=shared&limit={limit}"))
    yield Sample("GET /agents/{id}", 1.0, lambda: send("GET", f"/agents/{renewed}"))
    yield Sample("DELETE /agents/{id}", 1.0, lambda: send("DELETE", f"/agents/{renewed}"))

"""Registers one agent with a capability of its own, under a lease: it vanishes even if it can't be removed."""

import uuid
from collections.abc import Iterator, Mapping

from scripts.api_client import ApiClient
from scripts.probes import Reads, Record

LEASE_SECONDS = 3600

READS: Reads = (("/agents/doctor-unknown", {}), ("/agents?capability=doctor-unknown", {}))


def write(api: ApiClient, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:  # noqa: ARG001
    mark = uuid.uuid4().hex
    agent, capability, endpoint = f"verify-{mark}", f"verify-{mark}", "https://verify.example.com/agent"
    profile = {"id": agent, "name": "Verification", "endpoint": endpoint, "capabilities": [capability]}
    path = f"/agents/{agent}"
    api.send("POST", "/agents/register", {"profile": profile, "leaseSeconds": LEASE_SECONDS}).expect(201)
    yield Record(
        table="agents",
        key={"agentId": {"S": agent}},
        attributes={"name": {"S": "Verification"}, "endpoint": {"S": endpoint}},
        read_path=path,
        shows_it=lambda answer: bool(answer["id"] == agent),
        query_path=f"/agents?capability={capability}",
        lists_it=lambda answer: [found["id"] for found in answer["agents"]] == [agent],
        remove=lambda: api.send("DELETE", path).expect(204, 404) and None,
    )

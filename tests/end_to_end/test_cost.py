"""`make cost` of a stack that runs, and of one that nobody has made yet."""

import json
from typing import Any

from scripts import volumes
from scripts.cost_model import SYSTEMS
from tests.end_to_end.checkout import Checkout

AGENT = {"name": "Cost", "endpoint": "https://cost.example.com/agent", "capabilities": ["count", "reckon"]}


def consumed(stack: Checkout) -> dict[str, Any]:
    stack.must("cost", "ENV=local", "SINCE=6h")
    found: dict[str, Any] = json.loads((stack.folder / ".build" / "local" / "cost.json").read_text())["consumed"]
    return found


def logged(stack: Checkout) -> tuple[float, float]:
    """Read and write units that the registry's function says it has used."""
    lines = [json.loads(one) for one in stack.log_messages("agent_registry") if '"read_units"' in one]
    return sum(line["read_units"] for line in lines), sum(line["write_units"] for line in lines)


def test_what_was_used_is_what_the_functions_used(running_stack: Checkout) -> None:
    before, logged_before = consumed(running_stack), logged(running_stack)
    for number in range(8):
        profile = AGENT | {"id": f"cost-{number}"}
        running_stack.call("POST", "/agents/register", {"profile": profile}, **{"idempotency-key": f"cost-{number}"})
        running_stack.call("GET", "/agents?capability=count")
        running_stack.call("DELETE", f"/agents/cost-{number}")
    after, logged_after = consumed(running_stack), logged(running_stack)

    def units(found: dict[str, Any], kind: str) -> float:
        tables = [one for name, one in found["tables"].items() if "idempotency" in name or name == "AgentRegistry"]
        return sum(place[f"{kind}_units_window"] for table in tables for place in table["places"].values())

    for kind, first, last in zip(("read", "write"), logged_before, logged_after, strict=True):
        assert last > first
        assert abs((units(after, kind) - units(before, kind)) - (last - first)) <= 0.02 * (last - first)
    assert after["api_requests_window"] - before["api_requests_window"] == 24
    assert after["tables"]["AgentRegistry"]["system"] == "agent_registry"
    # every table but those that several systems use is its system's
    assert {one["system"] for one in after["tables"].values()} == {*SYSTEMS, "shared"}
    assert after["systems"]["agent_profiles"]["provisioned_usd"] > 0


def test_what_is_not_there_yet_is_estimated_without_an_account(running_stack: Checkout) -> None:
    running_stack.must("cost", "ENV=dev", "ESTIMATE=1", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    found = json.loads((running_stack.folder / ".build" / "dev" / "cost.json").read_text())
    assert "consumed" not in found
    expected = found["expected"]
    assert {system: set(routes) for system, routes in expected["routes"].items()} == {
        system: set(volumes.routes(system)) for system in SYSTEMS
    }
    assert all(expected["systems"][system]["month_usd"] > 1 for system in SYSTEMS)
    register = expected["routes"]["agent_registry"]["POST /agents/register"]
    # One in ten is new: the agent and 3 entries, double in the transaction, and each entry once in the index; the
    # others are one write.
    assert register["write_units"] == 0.1 * (2 * 4 + 3) + 0.9
    assert "1,000,000 calls a month of each route are assumed" in expected["notes"][0]

"""The route by which agents register."""

from __future__ import annotations

from agent_registry import profile
from common import preconditions
from common.idempotency import Idempotency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_registry.handler import AgentRegistry
    from common.change import Change
    from common.events import Answer, Request
    from common.idempotency import Also


def register(registry: AgentRegistry, request: Request) -> Answer:
    body = request.body()
    wanted, lease_seconds = profile.read(body)

    def work(also: Also) -> Answer:
        def marker(agent: dict[str, Any], is_new: bool) -> list[Change]:
            return also(profile.answer(agent, is_new))

        return profile.answer(
            *registry.store.register(
                wanted, lease_seconds, lambda version: preconditions.check(request, version), marker
            )
        )

    idempotency = Idempotency(registry.database, registry.markers, registry.marker_seconds, "agent_registry")
    return idempotency.run(request, "POST /agents/register", body, work)

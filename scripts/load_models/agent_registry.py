"""Agents of each client's own, registered, renewed and deleted, and agents that several clients count up in turn."""

import random
import threading
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.api_client import Answer
from scripts.console import CommandError
from scripts.load_models import Calls, Findings, UnansweredError, at_once, items, segment, settled, shared_by


class Model:
    """Acknowledged agents by id, as they were answered; shared ones count in their name how often they were changed."""

    def __init__(self, calls: Calls, tables: Mapping[str, str], mark: str, clients: int) -> None:
        self._calls, self._table, self._mark = calls, tables["agents"], mark
        self._lock = threading.Lock()
        self._shared = [f"{mark}-shared-{number}" for number in range(shared_by(clients))]
        self._counted = dict.fromkeys(self._shared, 0)
        self._own: list[dict[str, dict[str, Any]]] = [{} for _ in range(clients)]
        self._made = [0] * clients
        self._deleted: set[str] = set()
        self._unanswered: set[str] = set()
        # every capability that an agent ever had
        self._capabilities: dict[str, set[str]] = {}

    def prepare(self) -> None:
        for agent in self._shared:
            self._register(agent, "0", [self._mark], expect=(201,))

    def act(self, client: int, chance: random.Random) -> None:
        own, turn = self._own[client], chance.random()
        if not own or turn < 0.2:
            self._made[client] += 1
            agent = f"{self._mark}-{client}-{self._made[client]}"
            self._keep(own, self._register(agent, "new", self._some(chance), expect=(201,)))
        elif turn < 0.45:
            self._renew(own, chance)
        elif turn < 0.75:
            self._count(chance.choice(self._shared))
        elif turn < 0.9:
            agent = chance.choice(list(own))
            found = self._calls.send("GET", _path(agent)).body
            if agent not in self._unanswered and found != own[agent]:
                raise CommandError(f"{_path(agent)} is {found}, and {own[agent]} was acknowledged")
        elif turn < 0.95:
            self._delete(own, chance.choice(list(own)))
        else:
            self._calls.send("GET", f"/agents?capability={self._mark}&limit=10")

    def _some(self, chance: random.Random) -> list[str]:
        """The capability of all, and some others."""
        return [self._mark, *(f"{self._mark}-{number}" for number in chance.sample(range(6), 2))]

    def _register(
        self, agent: str, name: str, capabilities: list[str], headers: Mapping[str, str] | None = None, **expect: Any
    ) -> Answer:
        with self._lock:
            self._capabilities.setdefault(agent, set()).update(capabilities)
        profile = {
            "id": agent,
            "name": name,
            "endpoint": "https://load.example.com/agent",
            "capabilities": capabilities,
        }
        given = {"idempotency-key": uuid.uuid4().hex, **(headers or {})}
        try:
            return self._calls.send("POST", "/agents/register", {"profile": profile}, given, **expect)
        except UnansweredError:
            self._unanswered.add(agent)
            raise

    def _keep(self, own: dict[str, dict[str, Any]], answer: Answer) -> None:
        own[answer.body["id"]] = answer.body

    def _renew(self, own: dict[str, dict[str, Any]], chance: random.Random) -> None:
        agent = chance.choice(list(own))
        answer = self._register(agent, f"renewed {chance.getrandbits(32)}", self._some(chance))
        if agent not in self._unanswered and answer.body["version"] != own[agent]["version"] + 1:
            raise CommandError(f"{_path(agent)} got version {answer.body['version']} after {own[agent]['version']}")
        self._keep(own, answer)

    def _count(self, agent: str) -> None:
        """Reads and changes it, if nobody else has changed it meanwhile: else that change would be lost."""
        found = self._calls.send("GET", _path(agent))
        name, condition = str(int(found.body["name"]) + 1), {"if-match": found.headers["etag"]}
        if self._register(agent, name, [self._mark], condition, expect=(200, 412)).status == 200:
            with self._lock:
                self._counted[agent] += 1

    def _delete(self, own: dict[str, dict[str, Any]], agent: str) -> None:
        del own[agent]
        self._deleted.add(agent)
        self._calls.send("DELETE", _path(agent), expect=(204,), when_repeated=(404,))
        self._calls.send("GET", _path(agent), expect=(404,))

    def _live(self) -> dict[str, dict[str, Any]]:
        return {agent: told for own in self._own for agent, told in own.items()}

    def check(self, findings: Findings) -> None:
        live = self._live()
        shown = at_once(lambda agent: self._calls.send("GET", _path(agent)).body, [*live, *self._shared])
        found = {agent["id"]: agent for agent in shown}
        own = ((agent, found[agent]) for agent in live)
        findings.compare("GET /agents/{id}", live, own, self._unanswered)
        for agent, count in self._counted.items():
            if agent not in self._unanswered:
                told = found[agent]
                findings.equal(f"GET {_path(agent)}", (count, count + 1), (int(told["name"]), told["version"]))
        at_once(lambda agent: self._calls.send("GET", _path(agent), expect=(404,)), self._deleted)
        self._check_lists(findings, found)
        self._check_table(findings, found)

    def _check_lists(self, findings: Findings, found: Mapping[str, Mapping[str, Any]]) -> None:
        for capability in [self._mark, *(f"{self._mark}-{number}" for number in range(6))]:
            expected = {agent: told for agent, told in found.items() if capability in told["capabilities"]}
            listed = settled(lambda one=capability: self._listed(one), sorted(expected.items()))  # type: ignore[misc]
            findings.compare(f"GET /agents?capability={capability}", expected, listed, self._unanswered)

    def _listed(self, capability: str) -> list[tuple[str, Any]]:
        return [(told["id"], told) for told in self._calls.pages("/agents", "agents", capability=capability)]

    def _check_table(self, findings: Findings, found: Mapping[str, Mapping[str, Any]]) -> None:
        """The agents' items and their index items, and none of what they no longer are."""
        agents = items(self._table, _keys({*found, *self._deleted}))
        versions = {agent: told["version"] for agent, told in found.items()}
        stored = ((item["agentId"], int(item["version"])) for item in agents)
        findings.compare(self._table, versions, stored, self._unanswered)
        ever = {_entry(one, agent) for agent, capabilities in self._capabilities.items() for one in capabilities}
        expected = {_entry(one, agent): None for agent, told in found.items() for one in told["capabilities"]}
        unanswered = [_entry(one, agent) for agent in self._unanswered for one in self._capabilities[agent]]
        entries = ((item["agentId"], None) for item in items(self._table, _keys(ever)))
        findings.compare(f"index items of {self._table}", expected, entries, unanswered)

    def remove(self) -> None:
        def delete(agent: str) -> None:
            self._calls.send("DELETE", _path(agent), expect=(204, 404))

        at_once(delete, self._capabilities)


def _path(agent: str) -> str:
    return f"/agents/{segment(agent)}"


def _entry(capability: str, agent: str) -> str:
    return f"capability#{capability}#{agent}"


def _keys(values: Iterable[str]) -> list[dict[str, Any]]:
    return [{"agentId": {"S": value}} for value in values]

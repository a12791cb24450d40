"""Profiles of each client's own, profiles that several count up in turn, and conversations that several write in."""

import itertools
import random
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from common.sharding import shard_name
from scripts.api_client import Answer
from scripts.console import CommandError
from scripts.load_models import (
    Calls,
    Findings,
    Item,
    UnansweredError,
    at_once,
    dynamodb,
    items,
    partition,
    segment,
    settled,
    shared_by,
)

# Below 100 candidates a match is complete: profiles are spread over so many jobs.
JOBS = 20


class Model:
    """Acknowledged profiles by id, as they were answered; acknowledged messages by their text, which is unique."""

    def __init__(self, calls: Calls, tables: Mapping[str, str], mark: str, clients: int) -> None:
        self._calls, self._tables, self._mark = calls, tables, mark
        self._lock = threading.Lock()
        self._texts = itertools.count()
        shared = range(shared_by(clients))
        self._shared = [f"{mark}-shared-{number}" for number in shared]
        self._counted = dict.fromkeys(self._shared, 0)
        self._own: list[dict[str, dict[str, Any]]] = [{} for _ in range(clients)]
        self._made = [0] * clients
        self._stored: set[str] = set()  # all that may be there
        self._conversations: dict[str, dict[str, str]] = {f"{mark}-talk-{number}": {} for number in shared}
        self._unanswered: set[str] = set()  # ids and texts

    def prepare(self) -> None:
        for profile in self._shared:
            self._store({"id": profile, "name": "0", "tags": [self._mark]}, expect=(201,))

    def act(self, client: int, chance: random.Random) -> None:
        own, turn = self._own[client], chance.random()
        if not own or turn < 0.15:
            self._made[client] += 1
            body = self._described(f"{self._mark}-{client}-{self._made[client]}", chance)
            own[body["id"]] = self._store(body, expect=(201,)).body
        elif turn < 0.35:
            profile = chance.choice(list(own))
            own[profile] = self._next(own[profile], self._store(self._described(profile, chance)).body)
        elif turn < 0.55:
            self._count(chance.choice(self._shared))
        elif turn < 0.8:
            self._say(chance.choice(list(self._conversations)), client)
        elif turn < 0.95:
            profile = chance.choice(list(own))
            found = self._calls.send("GET", _path(profile)).body
            if profile not in self._unanswered and found != own[profile]:
                raise CommandError(f"{_path(profile)} is {found}, and {own[profile]} was acknowledged")
        else:
            self._calls.send("POST", "/match?limit=10", {"job": self._mark})

    def _described(self, profile: str, chance: random.Random) -> dict[str, Any]:
        tags = [self._mark, *(f"{self._mark}-{number}" for number in chance.sample(range(6), 2))]
        job = f"{self._mark}-{chance.randrange(JOBS)}"
        return {"id": profile, "name": f"{chance.getrandbits(32)}", "job": job, "tags": tags}

    def _store(
        self, body: dict[str, Any], headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,)
    ) -> Answer:
        with self._lock:
            self._stored.add(body["id"])
        given = {"idempotency-key": uuid.uuid4().hex, **(headers or {})}
        try:
            return self._calls.send("POST", "/store", body, given, expect=expect)
        except UnansweredError:
            self._unanswered.add(body["id"])
            raise

    def _next(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        if after["id"] not in self._unanswered and after["version"] != before["version"] + 1:
            raise CommandError(f"{_path(after['id'])} got version {after['version']} after {before['version']}")
        return after

    def _count(self, profile: str) -> None:
        """Reads and changes it, if nobody else has changed it meanwhile: else that change would be lost."""
        found = self._calls.send("GET", _path(profile))
        body = {"id": profile, "name": str(int(found.body["name"]) + 1), "tags": [self._mark]}
        if self._store(body, {"if-match": found.headers["etag"]}, expect=(200, 412)).status == 200:
            with self._lock:
                self._counted[profile] += 1

    def _say(self, conversation: str, client: int) -> None:
        text = f"{client}/{next(self._texts)}"
        body = {"conversation_id": conversation, "agent_id": self._mark, "message": text, "sender": "load"}
        headers = {"idempotency-key": uuid.uuid4().hex}
        try:
            answer = self._calls.send("POST", "/conversation", body, headers, expect=(201,))
        except UnansweredError:
            self._unanswered.add(text)
            raise
        with self._lock:
            self._conversations[conversation][text] = answer.body["message_id"]

    def check(self, findings: Findings) -> None:
        live = {profile: told for own in self._own for profile, told in own.items()}
        shown = at_once(lambda profile: self._calls.send("GET", _path(profile)).body, [*live, *self._shared])
        found = {profile["id"]: profile for profile in shown}
        own = ((profile, found[profile]) for profile in live)
        findings.compare("GET /retrieve/{id}", live, own, self._unanswered)
        for profile, count in self._counted.items():
            if profile not in self._unanswered:
                told = found[profile]
                findings.equal(f"GET {_path(profile)}", (count, count + 1), (int(told["name"]), told["version"]))
        table = self._tables["profiles"]
        versions = {profile: told["version"] for profile, told in found.items()}
        stored = ((item["id"], int(item["version"])) for item in items(table, _keys(self._stored)))
        findings.compare(table, versions, stored, self._unanswered)
        self._check_matches(findings, found)
        self._check_messages(findings)

    def _check_matches(self, findings: Findings, found: Mapping[str, Mapping[str, Any]]) -> None:
        """The entries by which profiles are found: those that they have, and none that they had."""
        for number in range(JOBS):
            job = f"{self._mark}-{number}"
            expected = {profile: told for profile, told in found.items() if told.get("job") == job}
            entries = self._entries(f"job#{job}")
            here = f"{self._tables['match']}, job#{job}"
            kept = ((item["id"], None) for item in entries)
            findings.compare(here, dict.fromkeys(expected), kept, self._unanswered)
            if len(expected) <= 100:
                matched = ((told["id"], told["version"]) for told in self._matched({"job": job}))
                versions = {profile: told["version"] for profile, told in expected.items()}
                findings.compare(f"POST /match, job {job}", versions, matched, self._unanswered)
        for tag in [self._mark, *(f"{self._mark}-{number}" for number in range(6))]:
            tagged = {profile: None for profile, told in found.items() if tag in told["tags"]}
            entries = self._entries(f"tag#{tag}")
            kept = ((item["id"], None) for item in entries)
            findings.compare(f"{self._tables['match']}, tag#{tag}", tagged, kept, self._unanswered)

    def _entries(self, way: str) -> list[Item]:
        shards = range(int(self._calls.environment.get("MATCH_SHARDS_READ") or 1))
        return [item for one in shards for item in partition(self._tables["match"], "entry", shard_name(way, one))]

    def _matched(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._calls.send("POST", f"/match?limit=100{token}", asked).body
            found += [match["profile"] for match in page["matches"]]
            if "next_token" not in page:
                return found
            token = f"&next_token={segment(page['next_token'])}"

    def _check_messages(self, findings: Findings) -> None:
        table = self._tables["conversations"]
        for conversation, said in self._conversations.items():
            path = f"/conversation/{segment(conversation)}"
            # one that nobody has written in is not there
            is_there = self._calls.send("GET", path, expect=(200, 404)).status == 200
            pages = self._calls.pages(path, "messages") if is_there else ()
            listed = [(told["message"], told["message_id"]) for told in pages]
            findings.compare(f"GET {path}", said, listed, self._unanswered)
            stored = partition(table, "conversation_id", conversation)
            kept = ((item["message"], item["timestamp"]) for item in stored)
            findings.compare(f"{table}, {conversation}", said, kept, self._unanswered)
        everything = {text: told for said in self._conversations.values() for text, told in said.items()}
        path = f"/agent/{segment(self._mark)}/conversations"

        def listed_of_agent() -> list[tuple[str, str]]:
            return sorted((told["message"], told["message_id"]) for told in self._calls.pages(path, "messages"))

        of_agent = settled(listed_of_agent, sorted(everything.items()))
        findings.compare(f"GET {path}", everything, of_agent, self._unanswered)

    def remove(self) -> None:
        """Straight from the tables, as the API deletes none of this."""
        client = dynamodb()
        match, conversations = self._tables["match"], self._tables["conversations"]

        def delete(where: tuple[str, Item]) -> None:
            table, key = where
            client.delete_item(TableName=table, Key={name: {"S": value} for name, value in key.items()})

        names = [f"job#{self._mark}-{number}" for number in range(JOBS)]
        names += [f"tag#{self._mark}", *(f"tag#{self._mark}-{number}" for number in range(6))]
        at_once(delete, ((self._tables["profiles"], {"id": profile}) for profile in self._stored))
        for name in names:
            entries = self._entries(name)
            at_once(delete, ((match, {key: item[key] for key in ("entry", "position")}) for item in entries))
        for conversation in self._conversations:
            messages = partition(conversations, "conversation_id", conversation)
            keys = ({key: item[key] for key in ("conversation_id", "timestamp")} for item in messages)
            at_once(delete, ((conversations, key) for key in keys))


def _path(profile: str) -> str:
    return f"/retrieve/{segment(profile)}"


def _keys(profiles: set[str]) -> list[dict[str, Any]]:
    return [{"id": {"S": profile}} for profile in profiles]

"""Users of one tenant; about four clients speak as each. Now and then one closes the session that they speak in."""

import itertools
import random
import threading
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from scripts.console import CommandError
from scripts.load_models import (
    PATIENCE_SECONDS,
    Calls,
    Findings,
    UnansweredError,
    at_once,
    items,
    partition,
    segment,
    settled,
    shared_by,
)


class Exchange(NamedTuple):
    """A message and the reply to it, by their ids."""

    session: str
    message: str
    reply: str


class Model:
    """Acknowledged exchanges by the message's content, which is unique."""

    def __init__(self, calls: Calls, tables: Mapping[str, str], mark: str, clients: int) -> None:
        self._calls, self._tables, self._mark = calls, tables, mark
        self._lock = threading.Lock()
        self._contents = itertools.count()
        self._users = [f"user-{number}" for number in range(shared_by(clients))]
        self._exchanges: dict[str, dict[str, Exchange]] = {user: {} for user in self._users}
        self._closed: set[str] = set()
        self._unanswered: set[str] = set()
        self._last: list[tuple[str, dict[str, Any], dict[str, str], Any] | None] = [None] * clients

    def prepare(self) -> None:
        for user in self._users:
            self._calls.send("GET", self._path(user), headers=self._as(user))

    def _as(self, user: str) -> dict[str, str]:
        return {"x-tenant-id": self._mark, "x-user-id": user}

    def _path(self, user: str) -> str:
        return f"/agent/conversations/{segment(self._mark)}/users/{segment(user)}"

    def act(self, client: int, chance: random.Random) -> None:
        last, turn, user = self._last[client], chance.random(), self._users[client % len(self._users)]
        if last is None or turn < 0.6:
            self._say(client, user)
        elif turn < 0.7:
            user, body, headers, first = last
            again = self._calls.send("POST", "/agent/process", body, headers)
            if again.body != first or again.headers.get("idempotency-replayed") != "true":
                raise CommandError(f"a repeated request was answered {again.body}, and {first} at first")
        elif turn < 0.9:
            session = last[3]["sessionId"]
            self._calls.send("GET", f"/agent/sessions/{session}/messages?order=newest", headers=self._as(user))
        elif turn < 0.95:
            found = self._calls.send("GET", self._path(user), headers=self._as(user)).body["sessions"]
            if last[3]["sessionId"] not in [session["id"] for session in found] and len(found) < 25:
                raise CommandError(f"{self._path(user)} does not show session {last[3]['sessionId']}")
        else:
            session = last[3]["sessionId"]
            self._calls.send("POST", f"/agent/sessions/{session}/close", headers=self._as(user))
            with self._lock:
                self._closed.add(session)

    def _say(self, client: int, user: str) -> None:
        content = f"{client}/{next(self._contents)}"
        body, headers = {"message": content}, {**self._as(user), "idempotency-key": uuid.uuid4().hex}
        try:
            answer = self._calls.send("POST", "/agent/process", body, headers).body
        except UnansweredError:
            self._unanswered.add(content)
            raise
        with self._lock:
            told = Exchange(answer["sessionId"], answer["messageId"], answer["replyMessageId"])
            self._exchanges[user][content] = told
        self._last[client] = (user, body, headers, answer)

    def check(self, findings: Findings) -> None:
        at_once(lambda user: self._check_user(findings, user), self._users)
        self._check_tables(findings)

    def _check_user(self, findings: Findings, user: str) -> None:
        told = self._exchanges[user]
        sessions = {exchange.session for exchange in told.values()}
        listed = list(self._calls.pages(self._path(user), "sessions", self._as(user)))
        by_session = {session: self._messages(user, session) for session in sessions}
        with self._lock:
            found = ((session["id"], None) for session in listed)
            uncertain = {session["id"] for session in listed} if self._unanswered else ()
            findings.compare(f"GET {self._path(user)}", dict.fromkeys(sessions), found, uncertain)
            if len(active := [session["id"] for session in listed if session["isActive"]]) > 1:
                findings.duplicates.append(f"GET {self._path(user)}: {len(active)} sessions are active")
            if wrong := self._closed.intersection(active):
                findings.lost_updates.append(f"GET {self._path(user)}: {wrong} is active, and was closed")
            for session, messages in by_session.items():
                self._check_messages(findings, session, told, messages)

    def _messages(self, user: str, session: str) -> list[dict[str, Any]]:
        """Both of each exchange, once the index shows them."""
        path = f"/agent/sessions/{segment(session)}/messages"
        told = [exchange for exchange in self._exchanges[user].values() if exchange.session == session]
        expected = sorted([one.message for one in told] + [one.reply for one in told])
        found: list[dict[str, Any]] = []

        def read() -> list[str]:
            found[:] = self._calls.pages(path, "messages", self._as(user))
            return sorted(message["id"] for message in found)

        settled(read, expected)
        return found

    def _check_messages(
        self, findings: Findings, session: str, told: Mapping[str, Exchange], messages: list[dict[str, Any]]
    ) -> None:
        where = f"GET /agent/sessions/{session}/messages"
        said = {content: one.message for content, one in told.items() if one.session == session}
        replies = {one.reply: None for one in told.values() if one.session == session}
        by_users = ((message["content"], message["id"]) for message in messages if message["role"] == "user")
        by_agent = [message["id"] for message in messages if message["role"] != "user"]
        findings.compare(where, said, by_users, self._unanswered)
        uncertain = by_agent if self._unanswered else ()
        findings.compare(f"{where}, replies", replies, ((one, None) for one in by_agent), uncertain)
        times = [message["timestamp"] for message in messages]
        if times != sorted(set(times)):
            findings.wrong.append(f"{where}: times are not in order, or not distinct")
        place = {message["id"]: number for number, message in enumerate(messages)}
        late = [one for one in told.values() if place.get(one.reply, 1 << 62) < place.get(one.message, 0)]
        findings.wrong += [f"{where}: reply {one.reply} stands before its message" for one in late]

    def _check_tables(self, findings: Findings) -> None:
        everything = [one for told in self._exchanges.values() for one in told.values()]
        expected = {one.message: one.session for one in everything} | {one.reply: one.session for one in everything}
        stored = items(self._tables["messages"], ({"id": {"S": one}} for one in expected))
        found = ((item["id"], item["sessionId"]) for item in stored)
        findings.compare(self._tables["messages"], expected, found)
        sessions = {one.session for one in everything}
        keys = ({"id": {"S": one}, "tenantId": {"S": self._mark}} for one in sessions)
        counts = dict.fromkeys(sessions, 0)
        for session in expected.values():
            counts[session] += 1
        heads = ((item["id"], int(item["messageCount"])) for item in items(self._tables["sessions"], keys))
        findings.compare(self._tables["sessions"], counts, heads, sessions if self._unanswered else ())
        of_tenant = settled(lambda: sorted(self._of_tenant()), sorted(expected))
        uncertain = of_tenant if self._unanswered else ()
        found_in_index = ((one, None) for one in of_tenant)
        findings.compare("messages of the tenant, by the index", dict.fromkeys(expected), found_in_index, uncertain)

    def _of_tenant(self) -> list[str]:
        table, shards = self._tables["messages"], int(self._calls.environment.get("TENANT_SHARDS_READ") or 0)
        if not shards:
            return [item["id"] for item in partition(table, "tenantId", self._mark, "TenantTimestampIndex")]
        keys = [f"{shard}#{self._mark}" for shard in range(shards)]
        index = "TenantShardTimestampIndex"
        return [item["id"] for key in keys for item in partition(table, "tenantShard", key, index)]

    def remove(self) -> None:
        at_once(self._erase, self._users)

    def _erase(self, user: str) -> None:
        for _ in range(int(PATIENCE_SECONDS)):
            if self._calls.send("DELETE", self._path(user), headers=self._as(user), expect=(200, 202)).status == 200:
                return
        raise CommandError(f"DELETE {self._path(user)} is not complete", "Send it again.")

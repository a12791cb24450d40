"""Sessions that several clients append to at once, and sessions of each client's own, some of them deleted again."""

import itertools
import random
import threading
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from scripts.console import CommandError
from scripts.load_models import Calls, Findings, UnansweredError, at_once, partition, segment, settled, shared_by


class Said(NamedTuple):
    time: str
    tokens: int


class Session:
    """What was acknowledged of one session: its messages by their content, which is unique."""

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.messages: dict[str, Said] = {}
        self.unanswered: set[str] = set()

    @property
    def path(self) -> str:
        return f"/sessions/{segment(self.id)}"

    @property
    def counts(self) -> tuple[int, int, int]:
        """Messages, tokens, version."""
        return len(self.messages), sum(said.tokens for said in self.messages.values()), len(self.messages) + 1


class Model:
    def __init__(self, calls: Calls, tables: Mapping[str, str], mark: str, clients: int) -> None:
        self._calls, self._table, self._mark = calls, tables["sessions"], mark
        self._lock = threading.Lock()
        self._contents = itertools.count()
        self._shared = [Session(f"{mark}-shared-{number}") for number in range(shared_by(clients))]
        self._own: list[list[Session]] = [[] for _ in range(clients)]
        self._deleted: list[Session] = []
        # by client and session, in the order in which they were acknowledged
        self._in_turn: dict[tuple[int, str], list[str]] = {}

    def prepare(self) -> None:
        for session in self._shared:
            self._open(session)

    def _open(self, session: Session) -> None:
        body = {"id": session.id, "user_id": self._mark, "pedagogy_mode": "load"}
        self._calls.send("POST", "/sessions", body, {"idempotency-key": uuid.uuid4().hex}, expect=(201,))

    def act(self, client: int, chance: random.Random) -> None:
        own, turn = self._own[client], chance.random()
        if not own or turn < 0.1:
            own.append(Session(f"{self._mark}-{client}-{len(own)}-{chance.getrandbits(32):08x}"))
            self._open(own[-1])
        elif turn < 0.6:
            self._append(client, chance.choice(self._shared), chance)
        elif turn < 0.7:
            self._append_if_unchanged(client, chance.choice(self._shared), chance)
        elif turn < 0.85:
            self._append(client, chance.choice(own), chance)
        elif turn < 0.95:
            self._read_own(chance.choice(own))
        else:
            self._delete(client, chance.choice(own))

    def _append(
        self, client: int, session: Session, chance: random.Random, headers: Mapping[str, str] | None = None
    ) -> None:
        content, tokens = f"{client}/{next(self._contents)}", chance.randint(1, 9)
        body = {"role": "user", "content": content, "tokens": tokens}
        path, given = f"{session.path}/messages", {"idempotency-key": uuid.uuid4().hex, **(headers or {})}
        try:
            answer = self._calls.send("POST", path, body, given, expect=(201, 412) if headers else (201,))
        except UnansweredError:
            session.unanswered.add(content)
            raise
        if answer.status == 412:  # somebody else was faster: nothing was written
            return
        with self._lock:
            session.messages[content] = Said(answer.body["time"], tokens)
            self._in_turn.setdefault((client, session.id), []).append(content)

    def _append_if_unchanged(self, client: int, session: Session, chance: random.Random) -> None:
        version = self._calls.send("GET", session.path).headers["etag"]
        self._append(client, session, chance, {"if-match": version})

    def _read_own(self, session: Session) -> None:
        """Nobody else writes there: what was acknowledged must show at once."""
        found = self._calls.send("GET", f"{session.path}?messages=5").body
        if not session.unanswered and _counts(found) != session.counts:
            raise CommandError(f"{session.path} tells {_counts(found)}, and {session.counts} was acknowledged")
        newest = sorted((said.time, content) for content, said in session.messages.items())[-5:]
        shown = [(message["time"], message["content"]) for message in found["messages"]]
        if not session.unanswered and shown != newest:
            raise CommandError(f"{session.path} shows {shown}, and {newest} was acknowledged")

    def _delete(self, client: int, session: Session) -> None:
        self._own[client].remove(session)
        with self._lock:
            self._deleted.append(session)
        self._calls.send("DELETE", session.path, expect=(204,), when_repeated=(404,))
        self._calls.send("GET", session.path, expect=(404,))

    @property
    def _live(self) -> list[Session]:
        return [*self._shared, *(session for own in self._own for session in own)]

    def check(self, findings: Findings) -> None:
        at_once(lambda session: self._check_session(findings, session), self._live)
        at_once(lambda session: self._check_deleted(findings, session), self._deleted)
        expected = sorted(session.id for session in self._live)
        path = f"/users/{segment(self._mark)}/sessions"
        listed = settled(lambda: sorted(found["id"] for found in self._calls.pages(path, "sessions")), expected)
        findings.compare(f"GET {path}", dict.fromkeys(expected), ((one, None) for one in listed))

    def _check_session(self, findings: Findings, session: Session) -> None:
        shown = self._calls.send("GET", session.path).body
        listed = list(self._calls.pages(f"{session.path}/messages", "messages"))
        found = [(message["content"], Said(message["time"], message["tokens"])) for message in listed]
        stored = partition(self._table, "PK", f"SESSION#{session.id}")
        messages = [item for item in stored if item["SK"].startswith("MESSAGE#")]
        kept = [(item["content"], Said(item["SK"].removeprefix("MESSAGE#"), int(item["tokens"]))) for item in messages]
        (head,) = (item for item in stored if item["SK"] == "METADATA")
        times = [said.time for _, said in found]
        with self._lock:
            findings.compare(f"GET {session.path}/messages", session.messages, found, session.unanswered)
            findings.compare(f"{self._table}, {session.id}", session.messages, kept, session.unanswered)
            if not session.unanswered:
                findings.equal(f"GET {session.path}", session.counts, _counts(shown))
                findings.equal(f"{self._table}, {session.id}", session.counts, _counts(head))
            if times != sorted(set(times)):
                findings.wrong.append(f"GET {session.path}/messages: times are not in order, or not distinct")
            place = {content: number for number, (content, _) in enumerate(found)}
            for (client, where), said in self._in_turn.items():
                order = [place[content] for content in said if content in place]
                if where == session.id and order != sorted(order):
                    findings.wrong.append(f"GET {session.path}/messages: those of client {client} are out of turn")

    def _check_deleted(self, findings: Findings, session: Session) -> None:
        self._calls.send("GET", session.path, expect=(404,))
        left = partition(self._table, "PK", f"SESSION#{session.id}")
        with self._lock:
            findings.compare(f"{self._table}, deleted", {}, ((item["PK"], None) for item in left))
            findings.checked += 1

    def remove(self) -> None:
        def delete(session: Session) -> None:
            self._calls.send("DELETE", session.path, expect=(204, 404))

        at_once(delete, [*self._live, *self._deleted])


def _counts(session: Mapping[str, Any]) -> tuple[int, int, int]:
    return int(session["message_count"]), int(session["total_tokens"]), int(session["version"])

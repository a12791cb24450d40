"""A session is opened, and grows by a message at a time; its newest messages are read again and again."""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

from scripts.workloads import IDEMPOTENT, Answer, Sample, Send, Settings, text, with_keys

SETTINGS = MappingProxyType(
    {
        "message_bytes": 500,
        "context_ids": 2,  # of a message
        "messages_read": 20,  # on a page
        "messages_deleted": 20,  # with their session
        "sessions_listed": 10,  # of a user, on a page
        IDEMPOTENT: 0.0,
        "sessions_stored": None,
        "messages_stored": None,
    }
)
STORED = MappingProxyType({"sessions_stored": "POST /sessions", "messages_stored": "POST /sessions/{id}/messages"})
_USER, _MODE = "user-00000001", "socratic"


def samples(send: Send, settings: Settings) -> Iterator[Sample]:
    def open_session(user: str = _USER, headers: dict[str, str] | None = None) -> Answer:
        return send("POST", "/sessions", {"user_id": user, "pedagogy_mode": _MODE}, headers or {})

    def append(session: str, headers: dict[str, str] | None = None) -> Answer:
        body = {
            "role": "user",
            "content": text(settings["message_bytes"]),
            "tokens": int(settings["message_bytes"]) // 4,
            "context_ids": [f"document-{i:08}" for i in range(int(settings["context_ids"]))],
        }
        return send("POST", f"/sessions/{session}/messages", body, headers or {})

    def session_with(messages: float, user: str = _USER) -> str:
        session = str(open_session(user).body["id"])
        for _ in range(int(messages)):
            append(session)
        return session

    for share, headers in with_keys(settings):
        yield Sample("POST /sessions", share, partial(open_session, "alone", headers))
    growing = session_with(1, "alone")
    route = "POST /sessions/{id}/messages"
    for share, headers in with_keys(settings):
        yield Sample(route, share, partial(append, growing, headers))
    count = max(1, min(100, int(settings["messages_read"])))
    session = session_with(count)
    yield Sample("GET /sessions/{id}", 1.0, lambda: send("GET", f"/sessions/{session}"))
    path = f"/sessions/{session}/messages?order=newest&limit={count}"
    yield Sample("GET /sessions/{id}/messages", 1.0, lambda: send("GET", path))
    listed = max(1, min(100, int(settings["sessions_listed"])))
    for _ in range(listed - 1):
        open_session()
    yield Sample("GET /users/{userId}/sessions", 1.0, lambda: send("GET", f"/users/{_USER}/sessions?limit={listed}"))
    doomed = session_with(settings["messages_deleted"], "alone")
    yield Sample("DELETE /sessions/{id}", 1.0, lambda: send("DELETE", f"/sessions/{doomed}"))

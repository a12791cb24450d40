"""Profiles are stored and changed, matched by job, city and tags; conversations grow by a message at a time."""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

from scripts.workloads import IDEMPOTENT, Answer, Sample, Send, Settings, text, with_keys

SETTINGS = MappingProxyType(
    {
        "description_bytes": 300,
        "tags": 3,  # of a profile
        "new_share": 0.5,  # of the stored profiles; the others change a description
        "profiles_listed": 25,  # on a page
        "matches": 10,  # on a page
        "message_bytes": 500,
        "messages_read": 20,  # on a page
        IDEMPOTENT: 0.0,
        "profiles_stored": None,
        "messages_stored": None,
    }
)
STORED = MappingProxyType({"profiles_stored": "POST /store", "messages_stored": "POST /conversation"})


def samples(send: Send, settings: Settings) -> Iterator[Sample]:
    counter = iter(range(1_000_000))

    def store(profile: str, headers: dict[str, str] | None = None, word: str = "x", **more: Any) -> Answer:
        body = {
            "id": profile,
            "name": f"Agent {profile}",
            "address": f"https://{profile}.example.com",
            "job": "plumber alone",
            "averagePrice": 49.99,
            "tags": [f"tag {i} alone" for i in range(int(settings["tags"]))],
            "location": ["Town alone", "Germany"],
            "description": word * int(settings["description_bytes"]),
            **more,
        }
        return send("POST", "/store", body, headers or {})

    def new() -> str:
        return f"profile-{next(counter):08}"

    def say(conversation: str, headers: dict[str, str] | None = None) -> Answer:
        body = {
            "conversation_id": conversation,
            "agent_id": "agent-00000001",
            "sender": "user-00000001",
            "message": text(settings["message_bytes"]),
        }
        return send("POST", "/conversation", body, headers or {})

    for share, headers in with_keys(settings):
        yield Sample("POST /store", share * settings["new_share"], partial(store, new(), headers))
    known = new()
    store(known)
    for word, (share, headers) in zip("ab", with_keys(settings), strict=False):
        yield Sample("POST /store", share * (1 - settings["new_share"]), partial(store, known, headers, word))
    yield Sample("GET /retrieve/{id}", 1.0, lambda: send("GET", f"/retrieve/{known}"))
    count = max(1, min(100, int(settings["profiles_listed"])))
    matches = max(1, min(100, int(settings["matches"])))
    for i in range(max(count + 1, matches)):
        wanted: dict[str, Any] = {"job": "electrician", "location": ["Berlin", "Germany"]} if i < matches else {}
        store(new(), **wanted)
    yield Sample("GET /list", 1.0, lambda: send("GET", f"/list?limit={count}"))
    asked = {"job": "electrician", "location": "Berlin"}
    yield Sample("POST /match", 1.0, lambda: send("POST", f"/match?limit={matches}", asked))
    for share, headers in with_keys(settings):
        yield Sample("POST /conversation", share, partial(say, "alone", headers))
    read = max(1, min(100, int(settings["messages_read"])))
    for _ in range(read):
        say("conversation-1")
    yield Sample("GET /conversation/{id}", 1.0, lambda: send("GET", f"/conversation/conversation-1?limit={read}"))
    path = f"/agent/agent-00000001/conversations?limit={read}"
    yield Sample("GET /agent/{id}/conversations", 1.0, lambda: send("GET", path))

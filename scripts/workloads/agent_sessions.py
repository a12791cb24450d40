"""A user goes on in a session: each call stores the message and the reply to it."""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

from scripts.workloads import IDEMPOTENT, Answer, Sample, Send, Settings, text, with_keys

SETTINGS = MappingProxyType(
    {
        "message_bytes": 500,  # the reply has as many
        "new_share": 0.1,  # of the calls open a session; the others go on in one
        "messages_read": 20,  # on a page
        "sessions_listed": 5,  # of a user, on a page
        "sessions_erased": 5,  # of a user
        "messages_erased": 20,  # of each of these sessions
        IDEMPOTENT: 0.0,
        "exchanges_stored": None,  # a message and its reply
    }
)
STORED = MappingProxyType({"exchanges_stored": "POST /agent/process"})
_TENANT = "tenant-0001"


def samples(send: Send, settings: Settings) -> Iterator[Sample]:
    counter = iter(range(1_000_000))

    def caller(user: str) -> dict[str, str]:
        return {"x-tenant-id": _TENANT, "x-user-id": user}

    def say(user: str, headers: dict[str, str] | None = None) -> Answer:
        body: dict[str, Any] = {"message": text(settings["message_bytes"])}
        return send("POST", "/agent/process", body, {**caller(user), **(headers or {})})

    def new_user() -> str:
        return f"user-{next(counter):08}"

    def close(session: str, user: str) -> Answer:
        return send("POST", f"/agent/sessions/{session}/close", None, caller(user))

    route = "POST /agent/process"
    for share, headers in with_keys(settings):
        # a user who has closed a session before
        opener = new_user()
        close(str(say(opener).body["sessionId"]), opener)
        yield Sample(route, share * settings["new_share"], partial(say, opener, headers))
    talker = new_user()
    say(talker)
    for share, headers in with_keys(settings):
        yield Sample(route, share * (1 - settings["new_share"]), partial(say, talker, headers))
    reader = new_user()
    count = max(1, min(100, int(settings["messages_read"])))
    session = ""
    for _ in range((count + 1) // 2):
        session = str(say(reader).body["sessionId"])
    path = f"/agent/sessions/{session}/messages?order=newest&limit={count}"
    yield Sample("GET /agent/sessions/{id}/messages", 1.0, lambda: send("GET", path, None, caller(reader)))
    yield Sample("POST /agent/sessions/{id}/close", 1.0, lambda: close(session, reader))
    lister = new_user()
    listed = max(1, min(100, int(settings["sessions_listed"])))
    for _ in range(listed):
        close(str(say(lister).body["sessionId"]), lister)
    path_of_lists = "/agent/conversations/{tenantId}/users/{userId}"
    yield Sample(
        f"GET {path_of_lists}",
        1.0,
        lambda: send("GET", f"/agent/conversations/{_TENANT}/users/{lister}?limit={listed}", None, caller(lister)),
    )
    erased = new_user()
    for _ in range(int(settings["sessions_erased"])):
        last = ""
        for _ in range(max(1, int(settings["messages_erased"]) // 2)):
            last = str(say(erased).body["sessionId"])
        close(last, erased)
    yield Sample(
        f"DELETE {path_of_lists}",
        1.0,
        lambda: send("DELETE", f"/agent/conversations/{_TENANT}/users/{erased}", None, caller(erased)),
    )

"""The request of each system that callers make first, and most: to look up what an earlier environment has stored.

For the profiles that is to retrieve one: every match, list and conversation leads to it, and its application had it
from the beginning. What is there before is written by the system's own function.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

from scripts.workloads import Send

RECORDS = 5
_NONE: Mapping[str, str] = MappingProxyType({})


class Request(NamedTuple):
    """`route` is the path as the contract has it; `found` the name of the list in the answer, if it is one."""

    route: str
    path: str
    found: str | None
    parameters: Mapping[str, str] = _NONE
    query: Mapping[str, str] = _NONE
    headers: Mapping[str, str] = _NONE

    @property
    def event(self) -> dict[str, Any]:
        """As an HTTP API hands it on."""
        key = f"GET {self.route}"
        http = {"method": "GET", "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "-"}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": key,
            "rawPath": self.path,
            "rawQueryString": urlencode(self.query),
            "headers": {"accept": "application/json", **self.headers},
            "requestContext": {"http": http, "requestId": "-", "routeKey": key, "stage": "$default", "timeEpoch": 0},
            "isBase64Encoded": False,
        }
        if self.query:
            event["queryStringParameters"] = dict(self.query)
        if self.parameters:
            event["pathParameters"] = dict(self.parameters)
        return event

    def records(self, answer: Mapping[str, Any]) -> list[Any]:
        """Those in the answer of a function; none where it has failed."""
        if answer.get("statusCode") != 200:
            return []
        body = json.loads(answer["body"])
        return list(body[self.found]) if self.found else [body]


def agent_registry(send: Send) -> Request:
    for number in range(RECORDS):
        profile = {
            "id": f"agent-{number}",
            "name": f"Agent {number}",
            "endpoint": "https://agent.example.com",
            "capabilities": ["forecast", "translation"],
        }
        send("POST", "/agents/register", {"profile": profile})
    return Request("/agents", "/agents", "agents", query={"capability": "forecast"})


def agent_profiles(send: Send) -> Request:
    profile = {
        "id": "profile-1",
        "name": "Profile",
        "address": "https://profile.example.com",
        "job": "plumber",
        "averagePrice": 49.99,
        "tags": ["quick", "polite"],
        "location": ["Berlin", "Germany"],
        "description": "Repairs pipes.",
    }
    send("POST", "/store", profile)
    return Request("/retrieve/{id}", "/retrieve/profile-1", None, {"id": "profile-1"})


def agent_sessions(send: Send) -> Request:
    headers = {"x-tenant-id": "tenant-1", "x-user-id": "user-1"}
    for _ in range(RECORDS):
        answer = send("POST", "/agent/process", {"message": "What is the weather like?"}, headers)
    session = str(answer.body["sessionId"])
    path = f"/agent/sessions/{session}/messages"
    return Request("/agent/sessions/{id}/messages", path, "messages", {"id": session}, headers=headers)


def pet_store(send: Send) -> Request:
    for number in range(RECORDS):
        send("POST", "/pets", {"name": f"Pet {number}", "type": "dog", "price": 19.99 + number})
    return Request("/pets", "/pets", "pets", query={"type": "dog"})


def chat_sessions(send: Send) -> Request:
    session = str(send("POST", "/sessions", {"user_id": "user-1"}).body["id"])
    for _ in range(RECORDS):
        message = {"role": "user", "content": "What is a cold start?", "tokens": 7, "context_ids": ["lesson-1"]}
        send("POST", f"/sessions/{session}/messages", message)
    path = f"/sessions/{session}/messages"
    return Request("/sessions/{id}/messages", path, "messages", {"id": session})


OF_SYSTEM: Mapping[str, Callable[[Send], Request]] = MappingProxyType(
    {one.__name__: one for one in (agent_registry, agent_profiles, agent_sessions, pet_store, chat_sessions)}
)

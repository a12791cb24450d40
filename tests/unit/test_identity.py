"""Who calls: a verified token decides, and whatever else is stated must agree with it."""

from typing import Any

import pytest

from common import events, idempotency, identity
from common.errors import Problem
from tests.unit.http_events import KINDS, event


def request(kind: str, claims: dict[str, Any] | None) -> events.Request:
    sent = event(kind, "GET", "/agents")
    if claims is not None:
        sent["requestContext"]["authorizer"] = {"claims": claims} if kind == "rest" else {"jwt": {"claims": claims}}
    return events.read(sent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_decides(kind: str) -> None:
    asked = request(kind, {"tenantId": "a", "sub": "u"})
    assert identity.agreed(asked, "tenantId", None, "tenant") == "a"
    assert identity.agreed(asked, "tenantId", "a", "tenant") == "a"
    with pytest.raises(Problem) as refused:
        identity.agreed(asked, "tenantId", "A", "tenant")
    assert refused.value.status == 403


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_what_is_stated_counts(kind: str) -> None:
    asked = request(kind, None)
    assert identity.agreed(asked, "tenantId", "a", "tenant") == "a"
    assert identity.agreed(asked, "tenantId", None, "tenant") is None


@pytest.mark.parametrize("claims", [{}, {"sub": "u"}, {"tenantId": ""}, {"tenantId": " \t"}, {"tenantId": 7}])
def test_a_token_that_does_not_say_it_is_no_way_in(claims: dict[str, Any]) -> None:
    for stated in (None, "a", ""):
        with pytest.raises(Problem) as refused:
            identity.agreed(request("http", claims), "tenantId", stated, "tenant")
        assert refused.value.status == 403


@pytest.mark.parametrize("value", ["[a]", "[a b]", "[]"])
def test_a_list_names_nobody(value: str) -> None:
    """API Gateway hands a claim that is a list over as such a text."""
    with pytest.raises(Problem) as refused:
        identity.agreed(request("http", {"tenantId": value}), "tenantId", value, "tenant")
    assert refused.value.status == 403
    assert identity.agreed(request("http", {"tenantId": "[a"}), "tenantId", None, "tenant") == "[a"


@pytest.mark.parametrize("authorizer", [{"jwt": None}, {"jwt": {}}, {"jwt": {"claims": None}}, {"jwt": []}])
def test_a_token_without_claims_is_a_token_all_the_same(authorizer: dict[str, Any]) -> None:
    sent = event("http", "GET", "/agents")
    sent["requestContext"]["authorizer"] = authorizer
    with pytest.raises(Problem) as refused:
        identity.agreed(events.read(sent), "tenantId", "a", "tenant")
    assert refused.value.status == 403


@pytest.mark.parametrize("kind", KINDS)
def test_callers_are_told_apart_by_what_their_tokens_say(kind: str) -> None:
    bearers = (
        {"iss": "i", "sub": "u"},
        {"iss": "j", "sub": "u"},
        {"iss": "i", "sub": "v"},
        {"iss": "i", "client_id": "u"},
        {"iss": "i", "sub": " ", "azp": "u"},
    )
    assert len({idempotency.caller(request(kind, claims)) for claims in bearers}) == len(bearers)
    for nobody in ({}, {"iss": "i"}, {"iss": "i", "sub": ""}):
        with pytest.raises(Problem) as refused:
            idempotency.caller(request(kind, nobody))
        assert refused.value.status == 400

"""Who calls: a verified token decides, and whatever else is stated must agree with it."""

from typing import Any

import pytest

from common import events, identity
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

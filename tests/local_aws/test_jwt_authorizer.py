"""Who comes with a token: which tokens are good, and what the front door answers to the others, as API Gateway does."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from scripts.local_aws.jwt_authorizer import Authorizer, TokenError, claim_text, granted_scopes, verified
from scripts.local_aws.token_issuers import CACHE_SECONDS, Issuers
from tests.local_aws.test_http_api import Api, MakeApi, Response, function, make_api, signed
from tests.oidc_issuer import AUDIENCE, Issuer, issuing
from tests.recording_guarantees import Guarantee

__all__ = ["function", "make_api"]

UNAUTHORIZED, FORBIDDEN = b'{"message":"Unauthorized"}', b'{"message":"Forbidden"}'


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture(scope="module")
def strange_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def authorizer_of(issuer: Issuer) -> Authorizer:
    return Authorizer(issuer.url, [AUDIENCE, "others"], "$request.header.Authorization")


def refusal(token: str, issuer: Issuer, issuers: Issuers, now: float | None = None) -> TokenError:
    with pytest.raises(TokenError) as refused:
        verified(token, authorizer_of(issuer), issuers, time.time() if now is None else now)
    assert refused.value.status == 401
    return refused.value


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join((*parts, signature))


# -- a token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_good_token_is_taken_with_all_its_claims(issuer: Issuer, algorithm: str) -> None:
    token = issuer.token(header={"alg": algorithm}, more=[1, "b"])
    assert verified(token, authorizer_of(issuer), Issuers(""), time.time()) == issuer.claims(more=[1, "b"]) | {
        name: json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))[name] for name in ("iat", "exp")
    }


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["elsewhere", AUDIENCE]},
        {"aud": None, "client_id": AUDIENCE},
        {"aud": "others", "client_id": "of no interest beside aud"},
        {"iat": None},
        {"nbf": 0},
    ],
)
def test_these_are_good_too(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert verified(issuer.token(**claims), authorizer_of(issuer), Issuers(""), time.time())


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "issuer does not match"),
        ({"iss": None}, "issuer does not match"),
        ({"aud": "elsewhere"}, "the token does not have a valid audience"),
        ({"aud": "elsewhere", "client_id": AUDIENCE}, "the token does not have a valid audience"),
        ({"aud": ["elsewhere"]}, "the token does not have a valid audience"),
        ({"aud": []}, "the token does not have a valid audience"),
        ({"aud": {AUDIENCE: 1}}, "the token does not have a valid audience"),
        ({"aud": None}, "the token does not have a valid audience"),
        ({"aud": None, "client_id": "elsewhere"}, "the token does not have a valid audience"),
        ({"exp": None}, "the token has expired"),
        ({"exp": "2099-01-01"}, "the token has expired"),
        ({"exp": True}, "the token has expired"),
        ({"nbf": "now"}, "the token is not valid yet"),
        ({"iat": [0]}, "the token was issued in the future"),
    ],
)
def test_claims_that_are_wrong_or_missing(issuer: Issuer, claims: dict[str, Any], why: str) -> None:
    assert str(refusal(issuer.token(**claims), issuer, Issuers(""))) == why


def test_times_count_to_the_second(issuer: Issuer) -> None:
    issuers, now = Issuers(""), int(time.time())
    assert verified(issuer.token(exp=now + 1, nbf=now, iat=now), authorizer_of(issuer), issuers, now)
    assert str(refusal(issuer.token(exp=now, iat=now - 9), issuer, issuers, now)) == "the token has expired"
    assert str(refusal(issuer.token(exp=now - 1, iat=now - 9), issuer, issuers, now)) == "the token has expired"
    assert str(refusal(issuer.token(nbf=now + 1, iat=now), issuer, issuers, now)) == "the token is not valid yet"
    assert str(refusal(issuer.token(iat=now + 1), issuer, issuers, now)) == "the token was issued in the future"


def test_an_algorithm_of_the_callers_choice_is_none(issuer: Issuer, strange_key: RSAKey) -> None:
    issuers, claims, known = Issuers(""), issuer.claims(), issuer.keys[0]
    for algorithm in ("none", "None", "NONE", "", None, "HS256", "RS255", ["RS256"]):
        assert refusal(unsigned({"alg": algorithm, "kid": known.kid}, claims), issuer, issuers)
    shown = known.as_dict(private=False)
    public = [known.as_pem(private=False), json.dumps(shown).encode(), shown["n"].encode()]
    for secret in public:
        signed_part = unsigned({"alg": "HS256", "kid": known.kid}, claims).rpartition(".")[0]
        signature = hmac.digest(secret, signed_part.encode(), "sha256")
        token = f"{signed_part}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        assert str(refusal(token, issuer, issuers)) == "signing method is invalid"
    # A key that the token brings along proves nothing.
    own = strange_key.as_dict(private=False)
    for header in ({"jwk": own}, {"jku": "http://127.0.0.1/keys"}, {"x5c": ["AAAA"]}, {}):
        token = issuer.token(key=strange_key, header=header)
        assert str(refusal(token, issuer, issuers)) == "signature is invalid"
    assert refusal(issuer.token(header={"crit": ["b64"], "b64": True}), issuer, issuers)


def test_a_key_that_nobody_published_signs_nothing(issuer: Issuer, strange_key: RSAKey) -> None:
    issuers = Issuers("")
    for key_id in ("strange", "", None):
        assert refusal(issuer.token(key=strange_key, header={"kid": key_id}), issuer, issuers)
        assert refusal(issuer.token(header={"kid": key_id}), issuer, issuers)


def mutations(token: str) -> st.SearchStrategy[str]:
    """Tokens that differ from a good one: a byte of a part, a part too few or too many, or another's part."""
    parts = token.split(".")

    def with_byte(part: int, at: int, flip: int) -> str:
        raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
        raw[at % len(raw)] ^= flip
        changed = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
        return ".".join((*parts[:part], changed, *parts[part + 1 :]))

    def without_end(length: int) -> str:
        return token[: -1 - length % (len(token) - 1)]

    return st.one_of(
        st.builds(with_byte, st.integers(0, 2), st.integers(0, 4096), st.integers(1, 255)),
        st.builds(without_end, st.integers(1, 4096)),
        st.builds(lambda order: ".".join(parts[one] for one in order), st.permutations(range(3))).filter(
            lambda changed: changed != token
        ),
        st.builds(lambda more: f"{token}{more}", st.sampled_from([".", ".e30", "AAAA", "=", " x", ","])),
        st.builds(lambda text: f"{parts[0]}.{text}.{parts[2]}", st.text(max_size=20)),
        st.text(max_size=40),
    )


def test_a_token_that_differs_in_anything_is_none(issuer: Issuer, guarantee: Guarantee) -> None:
    issuers, token = Issuers(""), issuer.token()
    tried: list[str] = []
    taken: list[str] = []

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(mutations(token))
    def probe(mutated: str) -> None:
        tried.append(mutated)
        with contextlib.suppress(TokenError):
            verified(mutated, authorizer_of(issuer), issuers, time.time())
            taken.append(mutated)
        assert taken == []

    try:
        probe()
    finally:
        guarantee("authentication", mutated_tokens=len(tried), taken=len(taken))
    assert verified(token, authorizer_of(issuer), issuers, time.time())
    assert len(tried) >= 300


def test_claims_reach_the_function_as_text() -> None:
    stated = {"a": "x y", "b": 7, "c": True, "d": ["a", "b c", 1], "e": None, "f": 1700000000}
    assert {name: claim_text(value) for name, value in stated.items()} == {
        "a": "x y",
        "b": "7",
        "c": "true",
        "d": "[a b c 1]",
        "e": "null",
        "f": "1700000000",
    }


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"scope": "a b"}, ["a", "b"]),
        ({"scp": ["a", "b", 3]}, ["a", "b"]),
        ({"scp": "a"}, ["a"]),
        ({"scope": "a", "scp": ["b"]}, ["a"]),
        ({"scope": 7}, []),
        ({}, []),
    ],
)
def test_scopes_are_a_text_or_a_list(claims: dict[str, Any], granted: list[str]) -> None:
    assert granted_scopes(claims) == granted


# -- an issuer's keys -------------------------------------------------------------------------------------------


def test_keys_are_asked_for_once_and_again_when_one_is_new() -> None:
    with issuing() as issuer:
        clock = [0.0]
        issuers = Issuers("", now=lambda: clock[0])
        for _ in range(3):
            assert verified(issuer.token(), authorizer_of(issuer), issuers, time.time())
        assert issuer.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}
        old = issuer.token()
        issuer.rotate()
        assert verified(issuer.token(), authorizer_of(issuer), issuers, time.time())
        assert issuer.asked["/keys"] == 2
        assert refusal(old, issuer, issuers), "its key is published no more"
        clock[0] += CACHE_SECONDS
        before = issuer.asked["/keys"]
        assert verified(issuer.token(), authorizer_of(issuer), issuers, time.time())
        assert issuer.asked["/keys"] == before + 1


def test_an_issuer_that_is_down_lets_nobody_in_who_was_not_known() -> None:
    with issuing() as issuer:
        clock = [0.0]
        issuers = Issuers("", now=lambda: clock[0])
        issuer.answers = False
        assert str(refusal(issuer.token(), issuer, issuers)) == "OIDC discovery endpoint communication error"
        issuer.answers = True
        assert verified(issuer.token(), authorizer_of(issuer), issuers, time.time())
        issuer.answers = False
        assert verified(issuer.token(), authorizer_of(issuer), issuers, time.time()), "the key is known"
        clock[0] += CACHE_SECONDS
        assert refusal(issuer.token(), issuer, issuers)


# -- over HTTP --------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_api: MakeApi, issuer: Issuer) -> Api:
    made = make_api()
    authorizer = made.aws.client("apigatewayv2").create_authorizer(
        ApiId=made.id,
        AuthorizerType="JWT",
        Name="tokens",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer.url, "Audience": [AUDIENCE]},
    )["AuthorizerId"]
    made.route("GET /open", AuthorizationType="JWT", AuthorizerId=authorizer)
    made.route("GET /read", AuthorizationType="JWT", AuthorizerId=authorizer, AuthorizationScopes=["x.read", "x.all"])
    made.stage()
    return made


def get(api: Api, path: str, authorization: str | None) -> Response:
    return api.request("GET", path, headers={} if authorization is None else {"authorization": authorization})


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", ""])
def test_the_function_gets_the_claims(guarded: Api, issuer: Issuer, prefix: str) -> None:
    answer = get(guarded, "/open", prefix + issuer.token(groups=["a", "b"], age=7))
    assert answer.status == 201
    jwt = answer.json["requestContext"]["authorizer"]["jwt"]
    assert (jwt["claims"]["groups"], jwt["claims"]["age"], jwt["claims"]["tenantId"]) == ("[a b]", "7", "acme")
    assert jwt["scopes"] is None


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer "])
def test_no_token_is_a_401(guarded: Api, authorization: str | None) -> None:
    answer = get(guarded, "/open", authorization)
    assert (answer.status, answer.body, answer.headers["www-authenticate"]) == (401, UNAUTHORIZED, "Bearer")


def test_a_bad_token_is_a_401_that_says_why(guarded: Api, issuer: Issuer, strange_key: RSAKey) -> None:
    for token, why in (
        (issuer.token(exp=int(time.time()) - 1), "the token has expired"),
        (issuer.token(aud="elsewhere"), "the token does not have a valid audience"),
        (issuer.token(key=strange_key), "signature is invalid"),
        ("nonsense", "unable to decode the token"),
    ):
        answer = get(guarded, "/open", f"Bearer {token}")
        assert (answer.status, answer.body) == (401, UNAUTHORIZED)
        assert answer.headers["www-authenticate"] == (
            f'Bearer scope="" error="invalid_token" error_description="{why}"'
        )
    assert get(guarded, "/open", f"Basic {issuer.token()}").status == 401


def test_one_of_the_routes_scopes_is_enough_and_none_is_a_403(guarded: Api, issuer: Issuer) -> None:
    for scopes in ({"scope": "x.read"}, {"scope": "y x.all"}, {"scp": ["x.read"]}):
        assert get(guarded, "/read", f"Bearer {issuer.token(**scopes)}").status == 201
    for scopes in ({}, {"scope": "x.rea x.write"}, {"scope": "x.read,x.all"}, {"scp": ["X.READ"]}):
        answer = get(guarded, "/read", f"Bearer {issuer.token(**scopes)}")
        assert (answer.status, answer.body) == (403, FORBIDDEN)
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_signature_is_no_token(guarded: Api) -> None:
    assert signed(guarded, "GET", "/open", "local", "local").status == 401


def test_an_authorizer_needs_an_issuer_that_answers(guarded: Api, issuer: Issuer) -> None:
    with pytest.raises(ClientError, match="Issuer must have a valid discovery endpoint"):
        guarded.aws.client("apigatewayv2").create_authorizer(
            ApiId=guarded.id,
            AuthorizerType="JWT",
            Name="gone",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": f"{issuer.url}/elsewhere", "Audience": [AUDIENCE]},
        )


def test_a_route_that_asks_for_tokens_no_more_forgets_scopes_and_authorizer(guarded: Api) -> None:
    client = guarded.aws.client("apigatewayv2")
    route = next(one for one in client.get_routes(ApiId=guarded.id)["Items"] if one["RouteKey"] == "GET /read")
    client.update_route(ApiId=guarded.id, RouteId=route["RouteId"], AuthorizationScopes=[])
    assert not client.get_route(ApiId=guarded.id, RouteId=route["RouteId"]).get("AuthorizationScopes")
    client.update_route(ApiId=guarded.id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
    changed = client.get_route(ApiId=guarded.id, RouteId=route["RouteId"])
    assert not changed.get("AuthorizerId")
    assert get(guarded, "/read", None).status == 403

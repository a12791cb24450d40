"""The front door: requests in, events to the function, answers out, and API Gateway's own refusals."""

from __future__ import annotations

import base64
import concurrent.futures
import dataclasses
import http.client
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local_aws.conftest import ACCOUNT, REGION, Aws, Deploy, Function, wait_for

ECHO = """
import json, time
def handler(event, context):
    path = event["rawPath"]
    if path.endswith("/raise"): raise ValueError("secret detail")
    if path.endswith("/sleep"): time.sleep(20)
    if path.endswith("/answer"): return json.loads(event["body"])
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
"""


@dataclasses.dataclass
class Response:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass
class Api:
    """An HTTP API of its own, reached by its Host header."""

    aws: Aws
    id: str
    function: Function
    integration: str

    @property
    def host(self) -> str:
        return f"{self.id}.execute-api.{REGION}.amazonaws.com"

    def route(self, key: str, **kwargs: Any) -> None:
        self.aws.client("apigatewayv2").create_route(
            ApiId=self.id, RouteKey=key, Target=f"integrations/{self.integration}", **kwargs
        )

    def stage(self, name: str = "$default", **kwargs: Any) -> None:
        self.aws.client("apigatewayv2").create_stage(ApiId=self.id, StageName=name, AutoDeploy=True, **kwargs)

    def request(
        self, method: str, target: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.aws.running.api_port, timeout=30)
        connection.request(method, target, body, {"Host": self.host, **(headers or {})})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        pairs = [(name.lower(), value) for name, value in response.getheaders()]
        cookies = [value for name, value in pairs if name == "set-cookie"]
        return Response(response.status, dict(pairs), cookies, content)

    def answer(self, value: Any) -> Response:
        """What a client gets when the function answers with `value`."""
        return self.request("POST", "/answer", json.dumps(value), {"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def function(deploy: Deploy) -> Function:
    return deploy(ECHO, Publish=True)


MakeApi = Callable[..., Api]


@pytest.fixture
def make_api(aws: Aws, function: Function) -> MakeApi:
    client = aws.client("apigatewayv2")

    def make(target: Function | None = None, *, permitted: bool = True, timeout: int = 30000, **kwargs: Any) -> Api:
        target = target or function
        api = client.create_api(Name=uuid.uuid4().hex, ProtocolType="HTTP", **kwargs)["ApiId"]
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{target.arn}/invocations"
        integration = client.create_integration(
            ApiId=api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=uri,
            PayloadFormatVersion="2.0",
            TimeoutInMillis=timeout,
        )["IntegrationId"]
        if permitted:
            aws.client("lambda").add_permission(
                FunctionName=target.name,
                StatementId=api,
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*/*",
            )
        return Api(aws, api, target, integration)

    return make


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """Everything goes to the echo function, by $default."""
    made = make_api()
    made.route("$default")
    made.stage()
    return made


# -- the event --------------------------------------------------------------------------------------------------


def test_the_event_has_payload_format_2(make_api: MakeApi) -> None:
    api = make_api()
    api.route("POST /agents/{id}")
    api.stage(StageVariables={"color": "blue"})
    before = time.time()
    response = api.request(
        "POST",
        "/agents/a%20b?x=1&x=2&name=J%C3%BCrgen+K&empty=",
        '{"price": 249.99}',
        {"Content-Type": "application/json", "X-Tenant-Id": "t1", "Cookie": "a=1; b=2", "User-Agent": "tests"},
    )
    event = response.json
    context = event.pop("requestContext")
    trace = event["headers"].pop("x-amzn-trace-id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert event == {
        "version": "2.0",
        "routeKey": "POST /agents/{id}",
        "rawPath": "/agents/a b",
        "rawQueryString": "x=1&x=2&name=J%C3%BCrgen+K&empty=",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "accept-encoding": "identity",
            "content-length": "17",
            "content-type": "application/json",
            "host": api.host,
            "user-agent": "tests",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            "x-tenant-id": "t1",
        },
        "queryStringParameters": {"x": "1,2", "name": "Jürgen K", "empty": ""},
        "pathParameters": {"id": "a b"},
        "stageVariables": {"color": "blue"},
        "body": '{"price": 249.99}',
        "isBase64Encoded": False,
    }
    assert abs(context.pop("timeEpoch") / 1000 - before) < 5
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert context.pop("requestId") == response.headers["apigw-requestid"]
    assert context == {
        "accountId": ACCOUNT,
        "apiId": api.id,
        "domainName": api.host,
        "domainPrefix": api.id,
        "http": {
            "method": "POST",
            "path": "/agents/a b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "tests",
        },
        "routeKey": "POST /agents/{id}",
        "stage": "$default",
    }


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("text/csv", True),
        ("application/xml", True),
        ("application/javascript", True),
        ("application/x-www-form-urlencoded", False),
        ("application/octet-stream", False),
        ("application/problem+json", False),
        (None, False),
    ],
)
def test_only_some_content_types_are_passed_as_text(api: Api, content_type: str | None, text: bool) -> None:
    event = api.request("POST", "/x", b"a=1", {"Content-Type": content_type} if content_type else {}).json
    assert event["isBase64Encoded"] is not text
    assert event["body"] == ("a=1" if text else base64.b64encode(b"a=1").decode())


def test_an_empty_request_has_no_optional_fields(api: Api) -> None:
    event = api.request("GET", "/").json
    assert not {"body", "cookies", "queryStringParameters", "pathParameters", "stageVariables"} & set(event)


def test_repeated_headers_are_joined(api: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.aws.running.api_port)
    connection.putrequest("GET", "/", skip_host=True)
    for name, value in (("Host", api.host), ("X-Many", "1"), ("x-many", "2")):
        connection.putheader(name, value)
    connection.endheaders()
    assert json.loads(connection.getresponse().read())["headers"]["x-many"] == "1,2"


# -- the answer -------------------------------------------------------------------------------------------------


def test_an_answer_is_turned_into_http(api: Api) -> None:
    response = api.answer(
        {
            "statusCode": 418,
            "headers": {"X-Teapot": "yes", "x-count": 3, "Connection": "close"},
            "cookies": ["a=1; HttpOnly", "b=2"],
            "body": base64.b64encode(b"\x00\xff").decode(),
            "isBase64Encoded": True,
        }
    )
    assert (response.status, response.body) == (418, b"\x00\xff")
    assert (response.headers["x-teapot"], response.headers["x-count"]) == ("yes", "3")
    assert response.cookies == ["a=1; HttpOnly", "b=2"]
    assert response.headers["content-type"] == "text/plain;charset=UTF-8"
    assert "connection" not in response.headers


@pytest.mark.parametrize("value", [{"agents": []}, ["a"], 12, None, {"message": "no status"}])
def test_an_answer_without_a_status_is_a_200_of_json(api: Api, value: Any) -> None:
    response = api.answer(value)
    assert (response.status, response.headers["content-type"], response.json) == (200, "application/json", value)


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": "soon"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"x": {"y": 1}}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)
def test_a_malformed_answer_is_a_500(api: Api, value: Any) -> None:
    response = api.answer(value)
    assert (response.status, response.body) == (500, b'{"message":"Internal Server Error"}')


def test_a_failed_function_is_a_500_without_its_reason(api: Api) -> None:
    response = api.request("GET", "/raise")
    assert (response.status, response.body) == (500, b'{"message":"Internal Server Error"}')


# -- API Gateway's own refusals ---------------------------------------------------------------------------------


def test_no_route_and_no_stage_are_404(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /agents")
    assert api.request("GET", "/agents").status == 404
    api.stage()
    assert api.request("GET", "/agents").status == 201
    response = api.request("POST", "/agents")
    assert (response.status, response.body) == (404, b'{"message":"Not Found"}')
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "HEAD"])
def test_any_carries_a_method_without_a_route_to_the_function(make_api: MakeApi, method: str) -> None:
    api = make_api()
    api.route("GET /agents/{id}")
    api.route("ANY /agents/{id}")
    api.stage()
    assert api.request("GET", "/agents/x").json["routeKey"] == "GET /agents/{id}"
    response = api.request(method, "/agents/x")
    assert response.status == 201
    if method != "HEAD":
        event = response.json
        assert (event["routeKey"], event["pathParameters"]) == ("ANY /agents/{id}", {"id": "x"})
        assert event["requestContext"]["http"]["method"] == method


def test_any_asks_for_the_same_signature(make_api: MakeApi) -> None:
    api = make_api()
    api.route("ANY /agents/{id}", AuthorizationType="AWS_IAM")
    api.stage()
    for method in ("GET", "PUT", "OPTIONS"):
        assert api.request(method, "/agents/x").status == 403


def test_an_unknown_api_is_a_404(api: Api) -> None:
    api.id = "nothinghere"
    assert api.request("GET", "/").body == b'{"message":"Not Found"}'


def test_a_named_stage_is_a_path_prefix(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /agents")
    api.stage("dev")
    event = api.request("GET", "/dev/agents").json
    assert (event["rawPath"], event["requestContext"]["stage"]) == ("/dev/agents", "dev")
    assert api.request("GET", "/agents").status == 404


def test_a_function_without_permission_is_a_500(make_api: MakeApi) -> None:
    api = make_api(permitted=False)
    api.route("$default")
    api.stage()
    assert api.request("GET", "/").body == b'{"message":"Internal Server Error"}'


def test_the_permission_must_name_this_route_and_qualifier(aws: Aws, make_api: MakeApi, deploy: Deploy) -> None:
    target = deploy(ECHO, Publish=True)
    aws.client("lambda").create_alias(FunctionName=target.name, Name="live", FunctionVersion="1")
    alias = dataclasses.replace(target, arn=f"{target.arn}:live")
    api = make_api(alias, permitted=False)
    api.route("GET /agents/{id}")
    api.route("GET /other")
    api.stage()

    def permit(statement: str, resource: str, **kwargs: Any) -> None:
        aws.client("lambda").add_permission(
            FunctionName=target.name,
            StatementId=statement,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api.id}/{resource}",
            **kwargs,
        )

    permit("unqualified", "*/*")
    assert api.request("GET", "/agents/1").status == 500
    permit("alias", "$default/GET/agents/{id}", Qualifier="live")
    assert api.request("GET", "/agents/1").status == 201
    assert api.request("GET", "/other").status == 500


def test_a_slow_function_is_a_503_after_the_integrations_timeout(make_api: MakeApi, deploy: Deploy) -> None:
    api = make_api(deploy(ECHO, Timeout=25), timeout=1000)
    api.route("$default")
    api.stage()
    wait_for(lambda: api.request("GET", "/warm").status == 201)  # a cold start may take longer than that, too
    began = time.monotonic()
    response = api.request("GET", "/sleep")
    assert time.monotonic() - began < 15, "the function takes 20 seconds"
    assert (response.status, response.body) == (503, b'{"message":"Service Unavailable"}')


def test_a_throttled_function_is_a_503(aws: Aws, make_api: MakeApi, deploy: Deploy) -> None:
    target = deploy(ECHO)
    aws.client("lambda").put_function_concurrency(FunctionName=target.name, ReservedConcurrentExecutions=0)
    api = make_api(target)
    api.route("$default")
    api.stage()
    response = api.request("GET", "/")
    assert (response.status, response.body) == (503, b'{"message":"Service Unavailable"}')


def test_a_body_over_ten_megabytes_is_a_413(api: Api) -> None:
    response = api.request("POST", "/", b"x" * (10 * 1024 * 1024 + 1), {"Content-Type": "text/plain"})
    assert (response.status, response.body) == (413, b'{"message":"Request Entity Too Large"}')


def test_more_than_the_burst_is_a_429(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /slow")
    api.route("GET /other")
    api.stage(
        DefaultRouteSettings={"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 100},
        RouteSettings={"GET /slow": {"ThrottlingBurstLimit": 3, "ThrottlingRateLimit": 0.01}},
    )
    statuses = [api.request("GET", "/slow").status for _ in range(5)]
    assert statuses == [201] * 3 + [429] * 2
    assert api.request("GET", "/slow").body == b'{"message":"Too Many Requests"}'
    assert api.request("GET", "/other").status == 201


# -- who may ----------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_api: MakeApi) -> Api:
    api = make_api()
    api.route("ANY /agents/{id}", AuthorizationType="AWS_IAM")
    api.stage()
    return api


def signed(
    api: Api, method: str, target: str, key: str, secret: str, token: str | None = None, region: str = REGION
) -> Response:
    url = f"http://{api.host}{target}"
    request = AWSRequest(method=method, url=url, data=b"", headers={"Host": urlsplit(url).netloc})
    SigV4Auth(Credentials(key, secret, token), "execute-api", region).add_auth(request)
    return api.request(method, target, headers=dict(request.headers.items()))


def test_an_unsigned_request_is_forbidden(guarded: Api) -> None:
    response = guarded.request("GET", "/agents/1")
    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')


def test_the_local_client_may(guarded: Api) -> None:
    response = signed(guarded, "GET", "/agents/a%20b?limit=3&capability=x%2By", "local", "local")
    assert response.status == 201
    iam = response.json["requestContext"]["authorizer"]["iam"]
    assert (iam["accessKey"], iam["accountId"]) == ("local", ACCOUNT)


def test_a_wrong_secret_an_unknown_key_and_another_region_are_forbidden(guarded: Api) -> None:
    for key, secret, region in [("local", "guess", REGION), ("AKIAUNKNOWN", "local", REGION)]:
        assert signed(guarded, "GET", "/agents/1", key, secret, region=region).status == 403
    assert signed(guarded, "GET", "/agents/1", "local", "local", region="us-east-1").status == 403


def test_users_and_roles_need_execute_api_invoke(aws: Aws, guarded: Api) -> None:
    iam, name = aws.client("iam"), f"u-{uuid.uuid4().hex[:8]}"
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    credentials = (key["AccessKeyId"], key["SecretAccessKey"])
    assert signed(guarded, "GET", "/agents/1", *credentials).status == 403
    statement = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{guarded.id}/$default/GET/agents/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="invoke", PolicyDocument=document)
    allowed = signed(guarded, "GET", "/agents/1", *credentials)
    assert allowed.json["requestContext"]["authorizer"]["iam"]["userArn"] == user["Arn"]
    assert signed(guarded, "DELETE", "/agents/1", *credentials).status == 403

    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    session = aws.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    assumed = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    assert signed(guarded, "GET", "/agents/1", *assumed).status == 403
    iam.put_role_policy(RoleName=name, PolicyName="invoke", PolicyDocument=document)
    assert signed(guarded, "GET", "/agents/1", *assumed).status == 201
    assert signed(guarded, "GET", "/agents/1", *assumed[:2], "forged").status == 403


def test_a_route_without_an_authorizer_that_is_known_here_refuses(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /agents", AuthorizationType="JWT")
    api.route("GET /custom", AuthorizationType="CUSTOM")
    api.stage()
    for path in ("/agents", "/custom"):
        response = api.request("GET", path, headers={"Authorization": "Bearer x"})
        assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')


# -- around it --------------------------------------------------------------------------------------------------


def test_cors_is_answered_by_the_api(make_api: MakeApi) -> None:
    api = make_api(
        CorsConfiguration={
            "AllowOrigins": ["https://app.example"],
            "AllowMethods": ["GET", "POST"],
            "AllowHeaders": ["content-type"],
            "MaxAge": 60,
        }
    )
    api.route("GET /agents")
    api.stage()
    origin = {"Origin": "https://app.example"}
    preflight = api.request("OPTIONS", "/agents", headers={**origin, "Access-Control-Request-Method": "GET"})
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-methods"] == "GET,POST"
    assert preflight.headers["access-control-max-age"] == "60"
    assert api.request("GET", "/agents", headers=origin).headers["access-control-allow-origin"] == origin["Origin"]
    foreign = api.request("GET", "/agents", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_every_request_is_in_the_access_log(aws: Aws, make_api: MakeApi) -> None:
    group = f"/api/{uuid.uuid4().hex}"
    aws.client("logs").create_log_group(logGroupName=group)
    names = {
        "id": "requestId",
        "status": "status",
        "route": "routeKey",
        "method": "httpMethod",
        "agent": "identity.userAgent",
        "cause": "integrationErrorMessage",
    }
    format_ = json.dumps({key: f"$context.{name}" for key, name in names.items()})
    api = make_api()
    api.route("GET /agents")
    api.stage(
        AccessLogSettings={
            "DestinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*",
            "Format": format_,
        }
    )
    good = api.request("GET", "/agents", headers={"User-Agent": 'say "hi"'})
    api.request("GET", "/nowhere")
    lines = [json.loads(e["message"]) for e in aws.client("logs").filter_log_events(logGroupName=group)["events"]]
    assert lines[0] == {
        "id": good.headers["apigw-requestid"], "status": "201", "route": "GET /agents", "method": "GET",
        "agent": 'say "hi"', "cause": "-",
    }  # fmt: skip
    assert (lines[1]["status"], lines[1]["route"], lines[1]["cause"]) == ("404", "-", "no route")


def test_warm_requests_are_fast_and_connections_stay_open(api: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.aws.running.api_port)
    times = []
    for _ in range(50):
        began = time.perf_counter()
        connection.request("GET", "/", headers={"Host": api.host})
        response = connection.getresponse()
        response.read()
        assert not response.will_close
        times.append(time.perf_counter() - began)
    # Two sends would cost 40 ms each (Nagle and delayed acknowledgement), but for the first few. Among so many there is
    # one that nothing else on this machine held up.
    assert min(times[20:]) < 0.03


def test_concurrent_requests_are_served_side_by_side(api: Api) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {response.status for response in pool.map(lambda n: api.request("GET", f"/{n}"), range(40))} == {201}


@pytest.fixture
def only_api(aws: Aws, api: Api) -> Iterator[Api]:
    """The one HTTP API there is, so that no Host header is needed."""
    client = aws.client("apigatewayv2")
    for other in client.get_apis(MaxResults="100")["Items"]:
        if other["ApiId"] != api.id:
            client.delete_api(ApiId=other["ApiId"])
    yield api
    client.delete_api(ApiId=api.id)


def test_a_single_api_is_the_default(only_api: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", only_api.aws.running.api_port)
    connection.request("GET", "/agents")
    event = json.loads(connection.getresponse().read())
    assert event["requestContext"]["domainName"] == only_api.host
    only_api.aws.client("apigatewayv2").delete_route(
        ApiId=only_api.id,
        RouteId=only_api.aws.client("apigatewayv2").get_routes(ApiId=only_api.id)["Items"][0]["RouteId"],
    )
    wait_for(lambda: only_api.request("GET", "/agents").status == 404)

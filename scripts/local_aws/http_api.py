"""Port 4567: the HTTP APIs (API Gateway v2) that exist in moto, served as API Gateway serves them."""

from __future__ import annotations

import base64
import concurrent.futures
import dataclasses
import json
import re
import secrets
import time
import traceback
from collections.abc import Mapping
from typing import Any

from scripts.local_aws import http_api_payload, http_api_routing, jwt_authorizer, metrics
from scripts.local_aws.callers import Caller, find_caller, may
from scripts.local_aws.http_api_payload import HttpRequest, HttpResponse
from scripts.local_aws.http_server import BodyTooLargeError, Handler
from scripts.local_aws.iam_policy import matches
from scripts.local_aws.invocation import InvokeError, Invoker, Result, Target, parse_name, trace_id
from scripts.local_aws.jwt_authorizer import TokenError
from scripts.local_aws.logs import LogStream
from scripts.local_aws.resource_policy import lets_in
from scripts.local_aws.roles import Roles
from scripts.local_aws.settings import ACCOUNT_ID, API_PAGE_PATH
from scripts.local_aws.sigv4 import SignatureError, SignedRequest, verify
from scripts.local_aws.throttling import Throttle
from scripts.local_aws.token_issuers import Issuers

MAX_BODY = 10 * 1024 * 1024
MAX_TIMEOUT = 30.0
_INTEGRATION_ARN = re.compile(r"functions/(?P<arn>arn:[^/]+)/invocations$")
_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+)")


class _AnswerError(Exception):
    """An answer of API Gateway itself. `cause` goes to the access log only, as on AWS.

    `challenge` is the header www-authenticate, for who comes without a good token.
    """

    def __init__(self, status: int, message: str, cause: str = "-", challenge: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.cause, self.challenge = status, message, cause, challenge

    def response(self) -> HttpResponse:
        body = json.dumps({"message": self.message}, separators=(",", ":"))
        headers = [("content-type", "application/json")]
        if self.challenge:
            headers.append(("www-authenticate", self.challenge))
        return HttpResponse(self.status, headers, body.encode())


def _not_found(cause: str) -> _AnswerError:
    return _AnswerError(404, "Not Found", cause)


def _failed(cause: str) -> _AnswerError:
    return _AnswerError(500, "Internal Server Error", cause)


@dataclasses.dataclass(frozen=True)
class _Api:
    """One API and the stage that a request is for; `api` and `stage` are moto's records."""

    api: Any
    region: str
    partition: str
    stage: Any
    path: str  # without the stage's name
    domain_name: str

    @property
    def id(self) -> str:
        return str(self.api.api_id)

    def execute_arn(self, route_key: str, method: str) -> str:
        prefix = f"arn:{self.partition}:execute-api:{self.region}:{ACCOUNT_ID}:{self.id}/{self.stage.name}"
        if route_key == http_api_routing.DEFAULT_ROUTE:
            return f"{prefix}/$default"
        return f"{prefix}/{method}{route_key.partition(' ')[2]}"


def _measure(found: _Api, status: int, milliseconds: float, integration_milliseconds: str | None) -> None:
    """As API Gateway does: for the API, and for the stage."""
    api: metrics.Dimensions = (("ApiId", found.id),)
    for dimensions in (api, (*api, ("Stage", str(found.stage.name)))):
        values = (("Count", 1), ("4xx", int(400 <= status < 500)), ("5xx", int(status >= 500)))
        for name, value in values:
            metrics.add(found.region, "AWS/ApiGateway", name, dimensions, value)
        metrics.add(found.region, "AWS/ApiGateway", "Latency", dimensions, milliseconds, "Milliseconds")
        if integration_milliseconds is not None:
            taken = float(integration_milliseconds)
            metrics.add(found.region, "AWS/ApiGateway", "IntegrationLatency", dimensions, taken, "Milliseconds")


class HttpApis:
    """Answers requests with the APIs that exist at that moment."""

    def __init__(self, invoker: Invoker, roles: Roles, issuers: Issuers) -> None:
        self._invoker = invoker
        self._roles = roles
        self._issuers = issuers
        self._throttle = Throttle()
        self._workers = concurrent.futures.ThreadPoolExecutor(max_workers=64, thread_name_prefix="integration")
        self._log_streams: dict[tuple[str, str], LogStream] = {}

    # -- which API ----------------------------------------------------------------------------------------------

    @staticmethod
    def _apis() -> list[tuple[Any, str, str]]:
        from moto.apigatewayv2.models import apigatewayv2_backends

        return [
            (api, region, backend.partition)
            for region, backend in list(apigatewayv2_backends[ACCOUNT_ID].items())
            for api in list(backend.apis.values())
            if api.protocol_type == "HTTP"
        ]

    def _candidates(self, request: HttpRequest) -> list[tuple[Any, str, str]]:
        """The APIs that the request may be for: the one that its host names, else all there are."""
        apis = self._apis()
        host = (request.header("host") or "").partition(":")[0].lower()
        prefix = host.partition(".")[0]
        named = [entry for entry in apis if entry[0].api_id == prefix]
        if not named and ".execute-api." in host:
            raise _not_found(f"there is no HTTP API {prefix}")
        return named or apis

    def _find(self, request: HttpRequest) -> _Api:
        chosen = self._candidates(request)
        if not chosen:
            raise _AnswerError(404, "No HTTP API is deployed: run `make up` or apply a stack that has one.")
        if len(chosen) > 1:
            ids = ", ".join(sorted(entry[0].api_id for entry in chosen))
            raise _AnswerError(
                404,
                f"Several HTTP APIs are deployed: choose one by the Host header <id>.execute-api.local (ids: {ids}).",
            )
        api, region, partition = chosen[0]
        stages = dict(api.stages)
        first, _, rest = request.path[1:].partition("/")
        if first in stages and first != "$default":
            stage, path = stages[first], f"/{rest}"
        elif "$default" in stages:
            stage, path = stages["$default"], request.path
        else:
            raise _not_found("no stage")
        host = (request.header("host") or "").partition(":")[0].lower()
        domain = host if ".execute-api." in host else f"{api.api_id}.execute-api.{region}.amazonaws.com"
        return _Api(api, region, partition, stage, path, domain)

    # -- the page of its routes ---------------------------------------------------------------------------------

    def _page(self, request: HttpRequest) -> HttpResponse | None:
        """`/docs` and what belongs to it, which AWS has not: only where the API itself would answer 404."""
        if request.method not in ("GET", "HEAD"):
            return None
        from scripts.local_aws import api_page

        candidates = self._candidates(request)
        if len(candidates) > 1:
            ids = [(api.api_id, api.name) for api, _, _ in candidates]
            return api_page.choice(request, ids) if request.path == API_PAGE_PATH else None
        found = self._find(request)
        routes = {route.route_key: route.authorization_type or "NONE" for route in list(found.api.routes.values())}
        if http_api_routing.match(routes, request.method, found.path):
            return None
        base_path = request.path.removesuffix(found.path)
        return api_page.answer(request, api_page.Api(found.id, found.api.name, base_path, routes), found.path)

    # -- one request --------------------------------------------------------------------------------------------

    def answer(self, request: HttpRequest, *, too_large: bool = False) -> HttpResponse:
        request_id = base64.b64encode(secrets.token_bytes(11)).decode()
        started = time.time()
        log: dict[str, str] = {}
        found: _Api | None = None
        try:
            if API_PAGE_PATH in request.path and (page := self._page(request)):
                return page
            found = self._find(request)
            response = self._preflight(found, request)
            if response is None:
                if too_large:
                    raise _AnswerError(413, "Request Entity Too Large")
                response = self._serve(found, request, request_id, log)
        except _AnswerError as error:
            response = error.response()
            log["error.message"] = error.message
            log["integrationErrorMessage"] = error.cause
            if error.challenge:
                log["authorizer.error"] = error.cause
        except Exception as error:  # noqa: BLE001 - a client must get an answer, and the log the cause
            traceback.print_exc()
            response = _failed(str(error)).response()
        headers = [*response.headers, ("apigw-requestid", request_id)]
        if found is not None:
            headers += self._cors_headers(found, request)
            self._write_access_log(found, request, response, request_id, started, log)
            _measure(found, response.status, (time.time() - started) * 1000, log.get("integrationLatency"))
        return HttpResponse(response.status, headers, response.body)

    def _serve(self, found: _Api, request: HttpRequest, request_id: str, log: dict[str, str]) -> HttpResponse:
        routes = {route.route_key: route for route in list(found.api.routes.values())}
        match = http_api_routing.match(routes, request.method, found.path)
        if match is None:
            raise _not_found("no route")
        log["routeKey"] = match.route_key
        self._admit(found, match.route_key)
        route = routes[match.route_key]
        authorizer = self._authorize(found, route, request)
        integration = found.api.integrations.get((route.target or "").removeprefix("integrations/"))
        if integration is None:
            raise _failed("the route has no integration")
        if integration.integration_type != "AWS_PROXY" or integration.integration_subtype:
            raise _failed(f"integrations of type {integration.integration_type} are not served here")
        if (integration.payload_format_version or "1.0") != "2.0":
            raise _failed('payload format 1.0 is not served here: set payload_format_version = "2.0"')
        trace = trace_id()
        event = http_api_payload.event(
            request,
            http_api_payload.Route(
                account_id=ACCOUNT_ID,
                api_id=found.id,
                domain_name=found.domain_name,
                stage=found.stage.name,
                route_key=match.route_key,
                path_parameters=match.path_parameters,
                stage_variables=found.stage.stage_variables or {},
                authorizer=authorizer,
            ),
            request_id,
            trace.partition(";")[0],
        )
        target = self._target(found, integration, match.route_key, request.method)
        began = time.monotonic()
        result = self._invoke(target, json.dumps(event).encode(), integration, trace)
        log["integrationLatency"] = log["integration.latency"] = str(int((time.monotonic() - began) * 1000))
        log["integration.requestId"] = result.request_id
        log["integration.status"] = "200"
        if result.function_error:
            log["integration.error"] = "The Lambda function returned the following error: " + result.payload.decode(
                errors="replace"
            )
            raise _failed(log["integration.error"] + ". Check your Lambda function code and try again.")
        try:
            response = http_api_payload.response(result.payload)
        except http_api_payload.MalformedAnswerError as error:
            raise _failed(
                f"The response from the Lambda function doesn't match the format that API Gateway expects: {error}"
            ) from error
        log["integrationStatus"] = str(response.status)
        return response

    def _admit(self, found: _Api, route_key: str) -> None:
        settings = {
            **(found.stage.default_route_settings or {}),
            **(found.stage.route_settings or {}).get(route_key, {}),
        }
        rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
        if not self._throttle.admits((found.id, found.stage.name, route_key), rate, burst):
            raise _AnswerError(429, "Too Many Requests")

    # -- who may ------------------------------------------------------------------------------------------------

    def _authorize(self, found: _Api, route: Any, request: HttpRequest) -> Mapping[str, Any] | None:
        kind = route.authorization_type or "NONE"
        if kind == "NONE":
            return None
        if kind == "AWS_IAM":
            return self._authorize_iam(found, request)
        if kind == "JWT":
            return self._authorize_jwt(found, route, request)
        # Custom authorizers: this front door does not know them, and never lets through what it can't judge.
        raise _AnswerError(401, "Unauthorized", f"authorizers of type {kind} are not served here")

    def _authorize_jwt(self, found: _Api, route: Any, request: HttpRequest) -> Mapping[str, Any]:
        made = found.api.authorizers.get(route.authorizer_id)
        if made is None:
            raise _AnswerError(401, "Unauthorized", "the route has no authorizer")
        # moto keeps what it was told: one source as a text, or a list with one.
        source = made.identity_source if isinstance(made.identity_source, str) else made.identity_source[0]
        authorizer = jwt_authorizer.Authorizer(made.jwt_config["issuer"], made.jwt_config["audience"], source)
        try:
            return jwt_authorizer.authorize(request, authorizer, route.authorization_scopes or (), self._issuers)
        except TokenError as error:
            message = "Unauthorized" if error.status == 401 else "Forbidden"
            raise _AnswerError(error.status, message, str(error), error.challenge) from error

    def _authorize_iam(self, found: _Api, request: HttpRequest) -> Mapping[str, Any]:
        callers: dict[str, Caller] = {}

        def find(access_key_id: str) -> Any:
            caller = find_caller(access_key_id, found.partition)
            if caller is None:
                return None
            callers[access_key_id] = caller
            return caller.secret

        signed = SignedRequest(request.method, request.path, request.query, request.headers, request.body)
        try:
            signature = verify(signed, "execute-api", find)
        except SignatureError as error:
            raise _AnswerError(403, "Forbidden", str(error)) from error
        caller = callers[signature.access_key_id]
        if signature.region != found.region:
            raise _AnswerError(403, "Forbidden", f"signed for {signature.region}, the API is in {found.region}")
        resource = (
            f"arn:{found.partition}:execute-api:{found.region}:{ACCOUNT_ID}:{found.id}/{found.stage.name}/"
            f"{request.method}{found.path}"
        )
        context = {"aws:principalarn": [caller.arn], "aws:sourceip": [request.source_ip]}
        if not may(caller, self._roles, found.partition, "execute-api:Invoke", resource, context):
            raise _AnswerError(403, "Forbidden", f"{caller.arn} may not execute-api:Invoke {resource}")
        return {
            "iam": {
                "accessKey": caller.access_key_id,
                "accountId": ACCOUNT_ID,
                "callerId": caller.user_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": caller.arn,
                "userId": caller.user_id,
            }
        }

    # -- the function -------------------------------------------------------------------------------------------

    def _target(self, found: _Api, integration: Any, route_key: str, method: str) -> Target:
        uri = str(integration.integration_uri or "")
        arn = found_arn["arn"] if (found_arn := _INTEGRATION_ARN.search(uri)) else uri
        region, name, qualifier = parse_name(arn, found.region)
        try:
            target = self._invoker.resolve(name, qualifier, region)
        except InvokeError as error:
            raise _failed(str(error)) from error
        if role := integration.credentials_arn:
            if self._roles.allows(role, found.partition, "lambda:InvokeFunction", target.arn) != "allow":
                raise _failed(f"{role} may not invoke {target.arn}")
        elif not lets_in(target, "apigateway.amazonaws.com", found.execute_arn(route_key, method)):
            raise _failed(f"the resource policy of {target.arn} does not let this API invoke it")
        return target

    def _invoke(self, target: Target, payload: bytes, integration: Any, trace: str) -> Result:
        limit = min((integration.timeout_in_millis or 30_000) / 1000, MAX_TIMEOUT)
        try:
            # A function that cannot outlast the integration's timeout is run in this very thread.
            if 10 + 2 * float(target.function.timeout) <= limit:
                return self._invoker.invoke(target, payload, trace=trace)
            return self._workers.submit(self._invoker.invoke, target, payload, trace=trace).result(limit)
        except concurrent.futures.TimeoutError as error:
            raise _AnswerError(503, "Service Unavailable", "the integration timed out") from error
        except InvokeError as error:
            if error.status == 429:
                raise _AnswerError(503, "Service Unavailable", f"Lambda throttled: {error.fields}") from error
            if error.status == 413:
                raise _AnswerError(413, "Request Entity Too Large", str(error)) from error
            raise _failed(str(error)) from error

    # -- CORS ---------------------------------------------------------------------------------------------------

    def _preflight(self, found: _Api, request: HttpRequest) -> HttpResponse | None:
        if not found.api.cors_configuration or request.method != "OPTIONS":
            return None
        if not request.header("origin") or not request.header("access-control-request-method"):
            return None
        return HttpResponse(204, [], b"")

    @staticmethod
    def _cors_headers(found: _Api, request: HttpRequest) -> list[tuple[str, str]]:
        cors, origin = found.api.cors_configuration, request.header("origin")
        if not cors or not origin:
            return []
        origins = cors.get("allowOrigins") or []
        if not any(matches(allowed, origin) for allowed in origins):
            return []
        headers = [("access-control-allow-origin", "*" if "*" in origins else origin)]
        if cors.get("allowCredentials"):
            headers.append(("access-control-allow-credentials", "true"))
        if cors.get("exposeHeaders"):
            headers.append(("access-control-expose-headers", ",".join(cors["exposeHeaders"])))
        if request.method == "OPTIONS":
            if cors.get("allowMethods"):
                headers.append(("access-control-allow-methods", ",".join(cors["allowMethods"])))
            if cors.get("allowHeaders"):
                headers.append(("access-control-allow-headers", ",".join(cors["allowHeaders"])))
            if cors.get("maxAge") is not None:
                headers.append(("access-control-max-age", str(cors["maxAge"])))
        return headers

    # -- access log ---------------------------------------------------------------------------------------------

    def _write_access_log(
        self,
        found: _Api,
        request: HttpRequest,
        response: HttpResponse,
        request_id: str,
        started: float,
        log: Mapping[str, str],
    ) -> None:
        settings = found.stage.access_log_settings or {}
        destination, format_ = settings.get("destinationArn"), settings.get("format")
        if not destination or not format_ or ":log-group:" not in destination:
            return
        values = {
            "accountId": ACCOUNT_ID,
            "apiId": found.id,
            "domainName": found.domain_name,
            "domainPrefix": found.domain_name.partition(".")[0],
            "extendedRequestId": request_id,
            "httpMethod": request.method,
            "identity.sourceIp": request.source_ip,
            "identity.userAgent": request.header("user-agent") or "-",
            "path": request.path,
            "protocol": request.protocol,
            "requestId": request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(started)),
            "requestTimeEpoch": str(int(started * 1000)),
            "responseLatency": str(int((time.time() - started) * 1000)),
            "responseLength": str(len(response.body)),
            "stage": found.stage.name,
            "status": str(response.status),
            "error.messageString": json.dumps(log["error.message"]) if "error.message" in log else "-",
            **log,
        }
        # Values land inside the quotes of a JSON format: what would break out of them is escaped.
        line = _VARIABLE.sub(lambda found_: _escape(found_[1], values.get(found_[1], "-")), format_)
        self._log_stream(found.region, destination).write(line)

    def _log_stream(self, region: str, destination: str) -> _AccessLog:
        group = destination.split(":log-group:")[1].removesuffix(":*")
        key = (region, group)
        if key not in self._log_streams:
            self._log_streams[key] = LogStream(ACCOUNT_ID, region, group, secrets.token_hex(16))
        return _AccessLog(self._log_streams[key])


@dataclasses.dataclass(frozen=True)
class _AccessLog:
    stream: LogStream

    def write(self, line: str) -> None:
        self.stream.add(line)
        self.stream.flush()


def _escape(name: str, value: str) -> str:
    return value if name == "error.messageString" else json.dumps(value)[1:-1]


def make_api_handler(apis: HttpApis) -> type[Handler]:
    class ApiHandler(Handler):
        max_body = MAX_BODY

        def handle_request(self) -> None:
            if (self.headers.get("Expect") or "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body, too_large = b"", False
            try:
                body = self.read_body()
            except BodyTooLargeError:
                too_large = True
            except ValueError:
                self.close_connection = True
                self.respond(400, [("content-type", "application/json")], b'{"message":"Bad Request"}')
                return
            path, _, query = self.path.partition("?")
            request = HttpRequest(
                method=self.command,
                path=path if path.startswith("/") else f"/{path}",
                query=query,
                headers=[(name.lower(), value) for name, value in self.headers.items()],
                body=body,
                source_ip=self.client_address[0],
                protocol=self.request_version,
            )
            answer = apis.answer(request, too_large=too_large)
            self.respond(answer.status, answer.headers, answer.body)

    return ApiHandler

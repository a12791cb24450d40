"""Lambda's Invoke, from the request to the answer.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import random
import secrets
import time
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.local_aws import functions, metrics
from scripts.local_aws.asynchronous import AsyncQueue, EventRecord, deliver
from scripts.local_aws.code_store import CodeStore
from scripts.local_aws.environments import Environment, Fleet, Invocation, Outcome, ThrottledError
from scripts.local_aws.guardian import Guardian
from scripts.local_aws.logs import LogStream, stream_name
from scripts.local_aws.roles import Roles
from scripts.local_aws.settings import ACCOUNT_ID, CLIENT_ACCESS_KEY_ID, Settings

MAX_REQUEST = 6_291_556
MAX_EVENT = 1_048_576  # 256 KB until October 2025


class InvokeError(Exception):
    """An answer of the Lambda service itself, not of the function."""

    def __init__(self, status: int, type_: str, fields: Mapping[str, object]) -> None:
        super().__init__(f"{type_}: {fields}")
        self.status = status
        self.type = type_
        self.fields = fields


def not_found(arn: str) -> InvokeError:
    return InvokeError(404, "ResourceNotFoundException", {"Type": "User", "Message": f"Function not found: {arn}"})


def throttled(reason: str) -> InvokeError:
    return InvokeError(429, "TooManyRequestsException", {"Type": "User", "message": "Rate Exceeded.", "Reason": reason})


def _too_large(limit: int, size: int) -> InvokeError:
    return InvokeError(
        413,
        "RequestEntityTooLargeException",
        {
            "Type": "User",
            "message": f"{size} byte payload is too large for the RequestResponse invocation type (limit {limit} bytes)"
            if limit == MAX_REQUEST
            else f"{size} byte payload is too large for the Event invocation type (limit {limit} bytes)",
        },
    )


@dataclasses.dataclass(frozen=True)
class Target:
    """A function version found by name or ARN and qualifier; `function` is moto's record."""

    function: Any
    arn: str  # as it was called: with the qualifier, when there was one
    qualifier: str | None

    @property
    def region(self) -> str:
        return str(self.function.region)


@dataclasses.dataclass(frozen=True)
class Result:
    """The answer to an invocation."""

    status: int
    payload: bytes
    request_id: str
    version: str
    function_error: str | None = None
    log_tail: bytes = b""
    error_type: str | None = None


def parse_name(name: str, region: str) -> tuple[str, str, str | None]:
    """Region, plain name and qualifier of a function's name, partial ARN or ARN."""
    parts = name.split(":")
    if parts[0] == "arn" and len(parts) >= 7:
        return parts[3], parts[6], parts[7] if len(parts) > 7 else None
    if len(parts) >= 3 and parts[1] == "function":
        return region, parts[2], parts[3] if len(parts) > 3 else None
    return region, parts[0], parts[1] if len(parts) > 1 else None


def trace_id() -> str:
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


class Invoker:
    """Finds functions and runs them."""

    def __init__(self, settings: Settings, roles: Roles, guardian: Guardian) -> None:
        self._settings = settings
        self._roles = roles
        self._guardian = guardian
        self._code = CodeStore(settings.data_dir / "code")
        self.fleet = Fleet(
            account_concurrency=settings.account_concurrency,
            idle_eviction=settings.idle_eviction,
        )
        self._queue = AsyncQueue(self._run_event, self._event_failed, settings.async_retry_delays)

    # -- which function -----------------------------------------------------------------------------------------

    def resolve(self, name: str, qualifier: str | None, region: str) -> Target:
        """Raises InvokeError 404 for an unknown function, version or alias."""
        from moto.awslambda.models import lambda_backends

        region, plain, own_qualifier = parse_name(name, region)
        qualifier = own_qualifier or qualifier
        storage = lambda_backends[ACCOUNT_ID][region]._lambdas
        arn = f"arn:{storage.partition}:lambda:{region}:{ACCOUNT_ID}:function:{plain}"
        versions = storage._functions.get(plain)
        called = f"{arn}:{qualifier}" if qualifier else arn
        if not versions or not versions["latest"]:
            raise not_found(called)
        if qualifier in (None, "$LATEST"):
            return Target(versions["latest"], called, qualifier)
        version = qualifier
        alias = storage._aliases.get(arn, {}).get(qualifier)
        if alias is not None:
            version = self._alias_version(alias)
        if version == "$LATEST":
            return Target(versions["latest"], called, qualifier)
        for function in versions["versions"]:
            if str(function.version) == version:
                return Target(function, called, qualifier)
        raise not_found(called)

    @staticmethod
    def _alias_version(alias: Any) -> str:
        """The alias's version, or by its weights one of the others it routes to."""
        weights = ((alias.routing_config or {}).get("AdditionalVersionWeights")) or {}
        chance = random.random()  # noqa: S311 - spreads traffic, guards nothing
        for version, weight in weights.items():
            if chance < float(weight):
                return str(version)
            chance -= float(weight)
        return str(alias.function_version)

    @staticmethod
    def _reservations() -> dict[tuple[str, str], int]:
        from moto.awslambda.models import lambda_backends

        reserved = {}
        for region, backend in list(lambda_backends[ACCOUNT_ID].items()):
            for name, versions in list(backend._lambdas._functions.items()):
                latest = versions["latest"]
                if latest is not None and latest.reserved_concurrency is not None:
                    reserved[(region, name)] = int(latest.reserved_concurrency)
        return reserved

    # -- environments -------------------------------------------------------------------------------------------

    def _make_environment(self, function: functions.FunctionSnapshot, source: Any) -> Environment:
        """`source` is moto's record, which has the code."""
        code = self._code_folder(function, source)
        session = self._roles.session(function.role, function.name, function.region, function.partition)

        def permitted(action: str, resource: str) -> bool:
            # Each environment has a stream of its own: for the record they are all one.
            record_as = f"{resource.partition(':log-stream:')[0]}:log-stream:*" if ":log-stream:" in resource else None
            decision = self._roles.allows(function.role, function.partition, action, resource, record_as=record_as)
            return decision == "allow"

        stream = LogStream(
            function.account_id, function.region, function.log_group, stream_name(function.version), permitted
        )
        variables = self._variables(function, code, stream.name)
        variables |= {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }
        return Environment(
            function,
            code,
            variables,
            stream,
            self._guardian,
            self._settings.init_timeout,
            lambda: self._roles.forget(session),
        )

    def _code_folder(self, function: functions.FunctionSnapshot, source: Any) -> Path:
        if not function.runtime.startswith("python"):
            message = f"Only zips with a Python runtime run in the embedded AWS, not {function.runtime or 'images'}."
            raise InvokeError(502, "InvalidRuntimeException", {"Type": "Server", "Message": message})
        try:
            return self._code.folder(functions.code_zips(source))
        except zipfile.BadZipFile as error:
            message = f"Lambda was unable to decompress the function's zip: {error}"
            raise InvokeError(502, "InvalidZipFileException", {"Type": "Server", "Message": message}) from error

    def _variables(self, function: functions.FunctionSnapshot, code: Path, stream: str) -> dict[str, str]:
        """What Lambda sets, the function's own, and the endpoint; nothing of the caller's environment."""
        variables = {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            **dict(function.variables),
            "_HANDLER": function.handler,
            "_X_AMZN_TRACE_ID": "",
            "AWS_DEFAULT_REGION": function.region,
            "AWS_REGION": function.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "LAMBDA_TASK_ROOT": str(code),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_ENDPOINT_URL": self._settings.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            # /var/task is read-only on Lambda and no .pyc ships: every cold start compiles its source.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        del variables["_X_AMZN_TRACE_ID"]  # the runtime sets it for each invocation
        if function.log_format == "JSON":
            variables |= {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": function.log_level}
        return variables

    # -- invocations --------------------------------------------------------------------------------------------

    def invoke(
        self,
        target: Target,
        payload: bytes,
        *,
        client_context: str | None = None,
        request_id: str | None = None,
        trace: str | None = None,
    ) -> Result:
        """Runs the function and waits. Raises InvokeError when it was not run."""
        if len(payload) > MAX_REQUEST:
            raise _too_large(MAX_REQUEST, len(payload))
        request_id = request_id or str(uuid.uuid4())
        outcome, version = self._run(target, payload or b"{}", client_context, request_id, trace or trace_id())
        return Result(
            status=200,
            payload=outcome.payload,
            request_id=request_id,
            version=version,
            function_error="Unhandled" if outcome.error else None,
            log_tail=outcome.log_tail,
            error_type=outcome.error,
        )

    def _run(
        self, target: Target, payload: bytes, client_context: str | None, request_id: str, trace: str
    ) -> tuple[Outcome, str]:
        function = functions.snapshot(target.function)
        reservations = self._reservations()
        reserved = reservations.get((function.region, function.name))
        try:
            environment = self.fleet.acquire(
                function, reserved, reservations, lambda: self._make_environment(function, target.function)
            )
        except ThrottledError as error:
            _measured(target, function, {"Throttles": 1})
            raise throttled(error.reason) from error
        try:
            at_once = self.fleet.running(function)
            invocation = Invocation(request_id, payload, target.arn, trace, client_context)
            outcome = environment.invoke(invocation)
            counts = {"Invocations": 1, "Errors": int(outcome.error is not None), "Throttles": 0}
            _measured(target, function, counts | {"ConcurrentExecutions": at_once}, outcome.duration_ms)
            return outcome, function.version
        except BaseException:
            environment.alive = False
            raise
        finally:
            self.fleet.release(environment)

    def invoke_event(self, target: Target, payload: bytes) -> Result:
        """Queues the event and returns at once."""
        if len(payload) > MAX_EVENT:
            raise _too_large(MAX_EVENT, len(payload))
        record = EventRecord(target.arn, target.region, payload or b"{}", str(uuid.uuid4()), self._event_config(target))
        self._queue.put(record)
        return Result(202, b"", record.request_id, str(target.function.version))

    @staticmethod
    def _event_config(target: Target) -> dict[str, Any]:
        from moto.awslambda.models import lambda_backends

        storage = lambda_backends[ACCOUNT_ID][target.region]._lambdas
        latest = storage._functions[target.function.function_name]["latest"]
        configs = getattr(latest, "local_aws_event_configs", {})
        config = dict(configs.get(target.qualifier or "$LATEST") or configs.get("$LATEST") or {})
        if latest_dlq := (getattr(target.function, "dead_letter_config", None) or {}).get("TargetArn"):
            config["DeadLetterArn"] = latest_dlq
        return config

    def _run_event(self, record: EventRecord) -> Result:
        target = self.resolve(record.arn, None, record.region)
        return self.invoke(target, record.payload, request_id=record.request_id)

    def _event_failed(self, record: EventRecord, result: Result | None, condition: str) -> None:
        deliver(record, result, condition)

    def close(self) -> None:
        self._queue.close()
        self.fleet.close()
        self._code.remove()

    # -- the HTTP face ------------------------------------------------------------------------------------------

    def handle(
        self, name: str, qualifier: str | None, region: str, headers: Mapping[str, str], payload: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answers an Invoke request; header names are lower-case."""
        try:
            return self._handle(name, qualifier, region, headers, payload)
        except InvokeError as error:
            return (
                error.status,
                [
                    ("Content-Type", "application/json"),
                    ("x-amzn-RequestId", str(uuid.uuid4())),
                    ("x-amzn-ErrorType", error.type),
                    *([("Retry-After", "1")] if error.status == 429 else []),
                ],
                json.dumps(error.fields).encode(),
            )

    def _handle(
        self, name: str, qualifier: str | None, region: str, headers: Mapping[str, str], payload: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.resolve(name, qualifier, region)
        kind = headers.get("x-amz-invocation-type") or "RequestResponse"
        if kind not in ("RequestResponse", "Event", "DryRun"):
            raise InvokeError(
                400,
                "ValidationException",
                {
                    "message": f"1 validation error detected: Value '{kind}' at "
                    "'invocationType' failed to satisfy constraint: Member must satisfy enum value set: "
                    "[Event, RequestResponse, DryRun]"
                },
            )
        if payload and kind != "DryRun":
            try:
                json.loads(payload)
            except ValueError as error:
                raise InvokeError(
                    400,
                    "InvalidRequestContentException",
                    {"Type": "User", "message": f"Could not parse request body into json: {error}"},
                ) from error
        if kind == "DryRun":
            return 204, [("x-amzn-RequestId", str(uuid.uuid4()))], b""
        if kind == "Event":
            result = self.invoke_event(target, payload)
            return 202, [("x-amzn-RequestId", result.request_id), ("Content-Type", "application/json")], b""
        context = self._client_context(headers.get("x-amz-client-context"))
        result = self.invoke(target, payload, client_context=context)
        answer = [
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", result.request_id),
            ("x-amz-executed-version", result.version),
        ]
        if result.function_error:
            answer.append(("X-Amz-Function-Error", result.function_error))
        if headers.get("x-amz-log-type") == "Tail":
            answer.append(("X-Amz-Log-Result", base64.b64encode(result.log_tail).decode()))
        return 200, answer, result.payload

    @staticmethod
    def _client_context(header: str | None) -> str | None:
        if not header:
            return None
        try:
            decoded = base64.b64decode(header, validate=True).decode()
            json.loads(decoded)
        except (binascii.Error, ValueError) as error:
            raise InvokeError(
                400,
                "InvalidRequestContentException",
                {"Type": "User", "message": "Client context must be a valid Base64-encoded JSON object."},
            ) from error
        return decoded


def _measured(
    target: Target, function: functions.FunctionSnapshot, counts: Mapping[str, int], milliseconds: float | None = None
) -> None:
    """As Lambda does: for the function, and for the version or alias that was called."""
    called: list[metrics.Dimensions] = [(("FunctionName", function.name),)]
    if target.qualifier:
        called.append((*called[0], ("Resource", f"{function.name}:{target.qualifier}")))
    for dimensions in called:
        for name, count in counts.items():
            metrics.add(function.region, "AWS/Lambda", name, dimensions, count)
        if milliseconds is not None:
            metrics.add(function.region, "AWS/Lambda", "Duration", dimensions, milliseconds, "Milliseconds")


def caller_access_key(authorization: str | None) -> str:
    """The access key of a SigV4 Authorization header."""
    if authorization and "Credential=" in authorization:
        return authorization.partition("Credential=")[2].partition("/")[0]
    return CLIENT_ACCESS_KEY_ID

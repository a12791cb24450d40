"""Where moto's Lambda differs from Lambda's control plane, and where it reaches the functions that really run.

Patches of moto 5.2.5; each says what it mends.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from scripts.local_aws.invocation import Invoker
from scripts.local_aws.moto_patch import replace

_Json = dict[str, Any]


def _touch(function: Any) -> None:
    from moto.core.utils import iso_8601_datetime_with_nanoseconds

    function.last_modified = iso_8601_datetime_with_nanoseconds()


def install(invoker: Invoker) -> None:
    """Patches moto. Once a process."""
    from moto.awslambda.models import LambdaAlias, LambdaBackend, LambdaFunction, LambdaStorage
    from moto.awslambda.responses import LambdaResponse

    _invocations(invoker, LambdaFunction)
    _configuration(invoker, LambdaFunction)
    _versions(invoker, LambdaBackend, LambdaStorage)
    _aliases(LambdaAlias, LambdaResponse)
    _event_configs(LambdaResponse)


def _invocations(invoker: Invoker, function_class: type) -> None:
    @replace(function_class, "invoke")
    def invoke(_original: Any, self: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        """moto's own callers (streams, queues, topics, subscription filters) run Docker; now they run the function."""
        target = invoker.resolve(self.function_name, str(self.version), self.region)
        payload = body.encode() if isinstance(body, str) else body
        if (request_headers or {}).get("x-amz-invocation-type") == "Event":
            return invoker.invoke_event(target, payload).payload
        result = invoker.invoke(target, payload)
        if result.function_error:
            response_headers["x-amz-function-error"] = result.function_error
        return result.payload


def _configuration(invoker: Invoker, function_class: type) -> None:
    @replace(function_class, "__init__")
    def init(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        """moto drops these three blocks."""
        spec = kwargs.get("spec") or args[1]
        self.logging_config = spec.get("LoggingConfig")
        self.dead_letter_config = spec.get("DeadLetterConfig")
        original(self, *args, **kwargs)

    @replace(function_class, "get_configuration")
    def get_configuration(original: Any, self: Any, *, on_create: bool = False) -> _Json:
        config: _Json = original(self, on_create=on_create)
        config["LoggingConfig"] = {
            "LogFormat": "Text",
            "LogGroup": self.logs_group_name,
            **(self.logging_config or {}),
        }
        if self.dead_letter_config and self.dead_letter_config.get("TargetArn"):
            config["DeadLetterConfig"] = self.dead_letter_config
        return config

    @replace(function_class, "update_configuration")
    def update_configuration(original: Any, self: Any, updates: _Json) -> Any:
        """moto ignores changes of these, never notes the time, and fails on an empty Environment."""
        if "Environment" in updates and "Variables" not in (updates["Environment"] or {}):
            updates = {**updates, "Environment": {"Variables": {}}}
        if updates.get("TracingConfig"):
            self.tracing_config = updates["TracingConfig"]
        if updates.get("EphemeralStorage"):
            self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
        if "KMSKeyArn" in updates:
            self.kms_key_arn = updates["KMSKeyArn"] or None
        if "LoggingConfig" in updates:
            self.logging_config = {**(self.logging_config or {}), **(updates["LoggingConfig"] or {})}
        if "DeadLetterConfig" in updates:
            self.dead_letter_config = updates["DeadLetterConfig"]
        original(self, updates)
        _touch(self)
        invoker.fleet.retire(self.function_name, self.region, str(self.version))
        return self.get_configuration()

    @replace(function_class, "update_function_code")
    def update_function_code(original: Any, self: Any, spec: _Json) -> Any:
        """moto ignores a change of architecture, and takes the same code again for a change."""
        if spec.get("DryRun"):
            return self.get_configuration()
        before, changed_before = (self.code_sha_256, self.architectures), self.code_or_config_updated
        if spec.get("Architectures"):
            self.architectures = spec["Architectures"]
        original(self, spec)
        _touch(self)
        if (self.code_sha_256, self.architectures) == before:
            self.code_or_config_updated = changed_before
        else:
            invoker.fleet.retire(self.function_name, self.region, str(self.version))
        return self.get_configuration()


def _versions(invoker: Invoker, backend_class: type, storage_class: type) -> None:
    @replace(storage_class, "publish_version")
    def publish_version(_original: Any, self: Any, name_or_arn: str, description: str = "") -> Any:
        """moto numbers versions by how many there are (a deleted one's number comes back), publishes unchanged code
        again after the first publication, and shares mutable parts between versions.
        """
        function = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
        versions = self._functions[function.function_name]["versions"]
        if versions and not function.code_or_config_updated:
            return versions[-1]
        function.code_or_config_updated = False
        function.local_aws_last_version = getattr(function, "local_aws_last_version", 0) + 1
        published = copy.copy(function)
        published.environment_vars = dict(function.environment_vars)
        published.layers = list(function.layers)
        published.architectures = list(function.architectures)
        published.code = dict(function.code)
        published.set_version(function.local_aws_last_version)
        if description:
            published.description = description
        versions.append(published)
        self._arns[published.function_arn] = published
        return published

    @replace(backend_class, "update_function_code")
    def update_function_code(_original: Any, self: Any, function_name: str, qualifier: str, body: _Json) -> Any:
        """moto applies the new code to the published version a second time."""
        function = self.get_function(function_name, qualifier)
        configuration = function.update_function_code(body)
        if body.get("Publish"):
            return self.publish_version(function.function_name).get_configuration()
        return configuration

    @replace(backend_class, "delete_function")
    def delete_function(original: Any, self: Any, function_name: str, qualifier: str | None = None) -> None:
        """moto deletes versions that callers use."""
        function = self.get_function(function_name, qualifier)
        if qualifier:
            _refuse_deletion(self.list_aliases(function.function_name), qualifier)
        original(self, function_name, qualifier)
        invoker.fleet.retire(function.function_name, self.region_name, qualifier)

    @replace(backend_class, "put_function_concurrency")
    def put_function_concurrency(original: Any, self: Any, function_name: str, reserved: Any) -> Any:
        return original(self, function_name, None if reserved is None else int(reserved))


def _aliases(alias_class: type, response_class: type) -> None:
    from moto.awslambda.exceptions import PreconditionFailedException

    @replace(alias_class, "update")
    def update(original: Any, self: Any, *args: Any) -> None:
        """moto gives an alias one revision for life, and keeps a routing that routes nothing."""
        original(self, *args)
        if not (self.routing_config or {}).get("AdditionalVersionWeights"):
            self.routing_config = None
        self.revision_id = str(uuid.uuid4())

    @replace(response_class, "update_alias")
    def update_alias(original: Any, self: Any) -> Any:
        """moto does not look at the revision that a caller has seen."""
        name, seen = unquote(self.path.rsplit("/", 1)[-1]), json.loads(self.body).get("RevisionId")
        function_name = unquote(self.path.rsplit("/")[-3])
        if seen and self.backend.get_alias(name=name, function_name=function_name).revision_id != seen:
            raise PreconditionFailedException(
                "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
                "retrieve the latest RevisionId"
            )
        return original(self)


def _refuse_deletion(aliases: Iterable[Any], qualifier: str) -> None:
    from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError

    if not qualifier.isdigit():
        raise InvalidParameterValueException(
            "$LATEST version cannot be deleted without deleting the function."
            if qualifier == "$LATEST"
            else "Cannot delete an alias by DeleteFunction."
        )
    using = [
        alias.name
        for alias in aliases
        if qualifier in (alias.function_version, *((alias.routing_config or {}).get("AdditionalVersionWeights") or {}))
    ]
    if using:
        refusal = LambdaClientError(
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{', '.join(using)}]",
        )
        refusal.code = 409
        raise refusal


def _event_configs(response_class: type) -> None:
    """moto keeps one configuration a function, whatever the qualifier, and never lets a later one win."""
    from moto.awslambda.exceptions import UnknownEventConfig
    from moto.awslambda.models import EventInvokeConfig
    from moto.core.utils import unix_time

    def latest(self: Any) -> Any:
        name = unquote(self.path.split("/functions/")[1].split("/event-invoke-config")[0])
        function = self.backend.get_function(name)
        return self.backend.get_function(function.function_name)

    def configs(function: Any) -> dict[str, _Json]:
        if not hasattr(function, "local_aws_event_configs"):
            function.local_aws_event_configs = {}
        found: dict[str, _Json] = function.local_aws_event_configs
        return found

    def qualifier(self: Any) -> str:
        return str((self.querystring.get("Qualifier") or ["$LATEST"])[0])

    def answer(function: Any, name: str, config: _Json) -> _Json:
        return {"FunctionArn": f"{function.function_arn}:{name}", **config}

    def store(self: Any, base: _Json) -> str:
        function, name = latest(self), qualifier(self)
        config = {**base, **{k: v for k, v in self.json_body.items() if v is not None}}
        EventInvokeConfig(function.function_arn, function.last_modified, config)  # validates
        config["LastModified"] = unix_time()
        configs(function)[name] = config
        return json.dumps(answer(function, name, config))

    def put(_original: Any, self: Any) -> str:
        return store(self, {})

    def update(_original: Any, self: Any) -> str:
        return store(self, configs(latest(self)).get(qualifier(self), {}))

    def get(_original: Any, self: Any) -> str:
        function, name = latest(self), qualifier(self)
        if name not in configs(function):
            raise UnknownEventConfig(f"{function.function_arn}:{name}")
        return json.dumps(answer(function, name, configs(function)[name]))

    def delete(_original: Any, self: Any) -> tuple[int, _Json, str]:
        function, name = latest(self), qualifier(self)
        if configs(function).pop(name, None) is None:
            raise UnknownEventConfig(f"{function.function_arn}:{name}")
        return 204, {"status": 204}, ""

    def list_(_original: Any, self: Any) -> str:
        function = latest(self)
        found = [answer(function, name, config) for name, config in configs(function).items()]
        return json.dumps({"FunctionEventInvokeConfigs": found})

    for method, replacement in {
        "put_function_event_invoke_config": put,
        "update_function_event_invoke_config": update,
        "get_function_event_invoke_config": get,
        "delete_function_event_invoke_config": delete,
        "list_function_event_invoke_configs": list_,
    }.items():
        replace(response_class, method)(replacement)

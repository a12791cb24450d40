"""What the embedded AWS knows of a function: a snapshot of moto's record, taken for each invocation."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

_generations = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class FunctionSnapshot:
    """Code and configuration of one version ("$LATEST" or a number). Two equal ones may share environments."""

    account_id: str
    region: str
    partition: str
    name: str
    version: str
    handler: str
    runtime: str
    role: str
    memory_mb: int
    timeout: float
    variables: tuple[tuple[str, str], ...]
    code_sha256: str
    layers: tuple[str, ...]
    architecture: str
    log_group: str
    log_format: str
    log_level: str
    generation: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.region, self.name, self.version

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:lambda:{self.region}:{self.account_id}:function:{self.name}"

    @property
    def version_arn(self) -> str:
        return f"{self.arn}:{self.version}"


def snapshot(function: Any) -> FunctionSnapshot:
    """The snapshot of a moto LambdaFunction."""
    generation = getattr(function, "local_aws_generation", None)
    if generation is None:
        # Tells a function from a later one of the same name; copies (published versions) inherit it.
        generation = function.local_aws_generation = next(_generations)
    logging = getattr(function, "logging_config", None) or {}
    return FunctionSnapshot(
        account_id=function.account_id,
        region=function.region,
        partition=function.partition,
        name=function.function_name,
        version=str(function.version),
        handler=function.handler or "",
        runtime=function.run_time or "",
        role=function.role,
        memory_mb=int(function.memory_size),
        timeout=float(function.timeout),
        variables=tuple(sorted((str(k), str(v)) for k, v in (function.environment_vars or {}).items())),
        code_sha256=function.code_sha_256,
        layers=tuple(layer["Arn"] for layer in function.layers),
        architecture=function.architectures[0],
        log_group=logging.get("LogGroup") or function.logs_group_name,
        log_format=logging.get("LogFormat", "Text"),
        log_level=logging.get("ApplicationLogLevel", "INFO") if logging.get("LogFormat") == "JSON" else "",
        generation=generation,
    )


def code_zips(function: Any) -> list[bytes]:
    """The zips that make up the task root. Layers come first: on Lambda too, the function's own code wins."""
    from moto.awslambda.utils import get_backend

    backend = get_backend(function.account_id, function.region)
    layers = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
    return [layer.code_bytes for layer in layers if layer] + [function.code_bytes]

"""What was applied, as Terraform's state in the bucket tells it; read without Terraform, which takes seconds."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import aws
from scripts.console import EXIT_FAILED, CommandError

_FORMAT = 4


class Instance(NamedTuple):
    """One managed resource: the address of its module ("" for the root), its type and attributes."""

    module: str
    type: str
    attributes: Mapping[str, Any]


class AppliedState(NamedTuple):
    """`outputs` by name, and the attributes of the managed resources by type, those of all modules.

    `addresses`: what Terraform calls the resources, by ARN.
    """

    outputs: Mapping[str, Any]
    resources: Mapping[str, list[dict[str, Any]]]
    addresses: Mapping[str, str] = MappingProxyType({})
    instances: tuple[Instance, ...] = ()

    @property
    def verification(self) -> dict[str, Any]:
        """The output of that name; empty where nothing is applied, or where all of it is destroyed."""
        found: dict[str, Any] = self.outputs.get("verification", {})
        return found

    @property
    def systems(self) -> dict[str, dict[str, Any]]:
        """What the outputs `systems` and `verification` say of each system; of a table's two entries the declared."""
        made, declared = self.outputs.get("systems", {}), self.verification.get("systems", {})
        return {name: {**made.get(name, {}), **declared[name]} for name in declared}

    def of(self, resource_type: str) -> list[dict[str, Any]]:
        return self.resources.get(resource_type, [])


def read(bucket: str, state_key: str) -> AppliedState:
    """The state; one without outputs and resources where nothing was ever applied.

    Raises CommandError for an object that is no state, and ClientError, also for a missing bucket.
    """
    try:
        answer = aws.client("s3").get_object(Bucket=bucket, Key=state_key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        return AppliedState({}, {})
    try:
        stated = json.loads(answer["Body"].read())
        if stated["version"] != _FORMAT:
            raise ValueError(f"format {stated['version']}")
        outputs = {name: output["value"] for name, output in stated.get("outputs", {}).items()}
        resources = stated.get("resources", [])
        addresses, instances = dict(_addresses(resources)), tuple(_instances(resources))
        return AppliedState(outputs, _by_type(resources), addresses, instances)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CommandError(
            f"s3://{bucket}/{state_key} is no state that this checkout can read: {error!r}.",
            "An older version of the object may be: `aws s3api list-object-versions` lists them.",
            EXIT_FAILED,
        ) from error


def _by_type(resources: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        if resource["mode"] == "managed":
            found.setdefault(resource["type"], []).extend(each["attributes"] for each in resource["instances"])
    return found


def _addresses(resources: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        module = f"{resource['module']}." if "module" in resource else ""
        for each in resource["instances"]:
            if resource["mode"] == "managed" and (arn := each["attributes"].get("arn")):
                index = f"[{json.dumps(each['index_key'])}]" if "index_key" in each else ""
                yield arn, f"{module}{resource['type']}.{resource['name']}{index}"


def _instances(resources: list[dict[str, Any]]) -> Iterator[Instance]:
    for resource in resources:
        if resource["mode"] == "managed":
            for each in resource["instances"]:
                yield Instance(resource.get("module", ""), resource["type"], each["attributes"])


def of_plan(planned: Mapping[str, Any]) -> tuple[Instance, ...]:
    """What there will be after a plan, as `terraform show -json` tells it; what is not known yet is left out."""
    return tuple(_of_module(planned.get("planned_values", {}).get("root_module", {})))


def _of_module(module: Mapping[str, Any]) -> Iterator[Instance]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield Instance(module.get("address", ""), resource["type"], resource["values"])
    for child in module.get("child_modules", []):
        yield from _of_module(child)

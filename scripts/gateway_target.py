"""Makes the pet store's tools a target of an AgentCore Gateway: `python -m scripts.gateway_target`.

The Terraform provider knows no AgentCore resources; this command creates the target, updates it where it differs, and
leaves it alone otherwise.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError, EndpointConnectionError

from scripts import aws, gateway_tools, stack
from scripts.console import EXIT_FAILED, CommandError, Progress, err, out, run, step

SYSTEM = gateway_tools.SYSTEM
SERVICE = "bedrock-agentcore-control"
DESCRIPTION = "The pet store's tools"
# As AWS has them
GATEWAY_ID = "([0-9a-z]-?){1,100}-[0-9a-z]{10}"
TARGET_NAME = "([0-9a-zA-Z]-?){1,100}"
OPERATORS_OWN = ("metadataConfiguration", "privateEndpoint", "certificateConfigurations")
SETTLE_SECONDS = 120
POLL_SECONDS = 1.0
# States in which a target is changing by itself
_CHANGING = ("CREATING", "UPDATING", "SYNCHRONIZING")


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    gateway: Annotated[str, typer.Option(help="The gateway's id, or its ARN.")],
    name: Annotated[str, typer.Option(help="The target's name; tools are called <name>___<tool>.")] = "pet-store",
    dry_run: Annotated[bool, typer.Option(help="Print the request as JSON, and send nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make the applied pet store's tools a target of an AgentCore Gateway, or bring the target up to date."""
    opened = stack.open_stack(env)
    systems = stack.outputs(opened).get("systems", {})
    stack.require_system(opened, systems, SYSTEM)
    alias_arn = systems[SYSTEM]["alias_arn"]
    wanted = request(gateway, name, alias_arn)
    if dry_run:
        out.print_json(data=wanted)
        return
    if opened.environment.embedded:
        raise CommandError(
            "the embedded AWS has no AgentCore.", "Add --dry-run (DRY_RUN=1) to see the request, or name another ENV."
        )
    with step(f"gateway target {name}") as progress, explained(wanted["gatewayIdentifier"], opened.environment.region):
        report = put(aws.client(SERVICE), wanted, progress)
    if json_output:
        out.print_json(data=report)
        return
    out.print(f"{report['result']}: target {report['target_id']} of gateway {report['gateway']}", markup=False)
    err.print(f"The gateway's role must be allowed lambda:InvokeFunction on {alias_arn}", markup=False)


def request(gateway: str, name: str, alias_arn: str) -> dict[str, Any]:
    """CreateGatewayTarget's parameters; UpdateGatewayTarget's are the same and the target's id.

    https://docs.aws.amazon.com/bedrock-agentcore-control/latest/APIReference/API_CreateGatewayTarget.html
    """
    gateway_id = gateway.rpartition("/")[2]
    if not re.fullmatch(GATEWAY_ID, gateway_id):
        raise CommandError(
            f"{gateway!r} is no gateway's id.",
            f"It is the name, a hyphen and ten characters; to list them: aws {SERVICE} list-gateways",
        )
    if not re.fullmatch(TARGET_NAME, name):
        raise CommandError(
            f"{name!r} is no name of a target.", "Use up to 100 letters and digits, with single hyphens."
        )
    return {
        "gatewayIdentifier": gateway_id,
        "name": name,
        "description": DESCRIPTION,
        "targetConfiguration": {
            "mcp": {"lambda": {"lambdaArn": alias_arn, "toolSchema": {"inlinePayload": gateway_tools.read()}}}
        },
        "credentialProviderConfigurations": [{"credentialProviderType": "GATEWAY_IAM_ROLE"}],
    }


def put(client: Any, wanted: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    """Creates the target, or updates it unless it is as wanted already, and waits until it is ready."""
    place = {"gatewayIdentifier": wanted["gatewayIdentifier"]}
    target_id = _find(client, place, wanted["name"])
    if target_id is None:
        result = "created"
        target_id = client.create_gateway_target(**wanted)["targetId"]
    else:
        there = _settled(client, place | {"targetId": target_id}, progress)
        is_as_wanted = all(there.get(name) == value for name, value in wanted.items() if name not in place)
        result = "unchanged" if is_as_wanted and there["status"] == "READY" else "updated"
        if result == "updated":
            # an update replaces the whole target: what an operator has set beside ours stays
            kept = {name: there[name] for name in OPERATORS_OWN if name in there}
            client.update_gateway_target(**kept, **wanted, targetId=target_id)
    there = _settled(client, place | {"targetId": target_id}, progress)
    if there["status"] != "READY":
        reasons = " ".join(there.get("statusReasons", [])) or "AWS gives no reason"
        raise CommandError(
            f"target {target_id} is {there['status']}: {reasons}.",
            "Mend that, and run the command again: it updates the target.",
            exit_code=EXIT_FAILED,
        )
    return {"result": result, "gateway": wanted["gatewayIdentifier"], "target_id": target_id, "status": "READY"}


def _find(client: Any, place: dict[str, str], name: str) -> str | None:
    pages = client.get_paginator("list_gateway_targets").paginate(**place)
    found = [target["targetId"] for page in pages for target in page["items"] if target["name"] == name]
    return found[0] if found else None


def _settled(client: Any, key: dict[str, str], progress: Progress | None) -> dict[str, Any]:
    """The target, once it does not change by itself any more."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        there: dict[str, Any] = client.get_gateway_target(**key)
        if there["status"] not in _CHANGING:
            return there
        if time.monotonic() > deadline:
            raise CommandError(
                f"target {key['targetId']} is still {there['status']} after {SETTLE_SECONDS} s.",
                "Run the command again later.",
                exit_code=EXIT_FAILED,
            )
        if progress:
            progress.update(there["status"])
        time.sleep(POLL_SECONDS)


@contextmanager
def explained(gateway: str, region: str) -> Iterator[None]:
    """Turns what AWS says into the operator's next step."""
    try:
        yield
    except EndpointConnectionError as error:
        raise CommandError(f"AgentCore can't be reached: {error}", f"Check that {region} has AgentCore.") from error
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        next_steps = {
            "ResourceNotFoundException": f"List the gateways: aws {SERVICE} list-gateways --region {region}",
            "AccessDeniedException": "Allow bedrock-agentcore:ListGatewayTargets, GetGatewayTarget, "
            "CreateGatewayTarget and UpdateGatewayTarget on the gateway.",
            "ConflictException": "Somebody else changes the gateway or this target; run the command again.",
            "ValidationException": "See what is sent with --dry-run (DRY_RUN=1).",
            "ServiceQuotaExceededException": "Remove a target of this gateway, or ask AWS for a higher quota.",
        }
        if code not in next_steps:
            raise
        raise CommandError(f"gateway {gateway}: {message}", next_steps[code], exit_code=EXIT_FAILED) from error


if __name__ == "__main__":
    run(main)

"""The tools of an AgentCore Gateway: their schema comes from the contract, and AWS's own model accepts the target."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from scripts import gateway_target, gateway_tools
from scripts.console import CommandError

GATEWAY = "shop-0123456789"
ALIAS = "arn:aws:lambda:eu-north-1:123456789012:function:agent-state-dev-pet-store:live"
TARGET = "ABCDEFGHIJ"
PLACE = {"gatewayIdentifier": GATEWAY}
KEY = PLACE | {"targetId": TARGET}
WANTED = gateway_target.request(GATEWAY, "pet-store", ALIAS)
TIMES = {"createdAt": 0, "updatedAt": 0}


@pytest.fixture
def client() -> Any:
    return boto3.client(
        gateway_target.SERVICE, region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x"
    )


@pytest.fixture
def aws(client: Any) -> Iterator[Stubber]:
    """AWS as its own model has it: requests and answers that the model refuses fail."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_target, "POLL_SECONDS", 0)


def contract() -> Any:
    return yaml.safe_load(gateway_tools.CONTRACT.read_text())


def target(status: str = "READY", **changes: Any) -> dict[str, Any]:
    there = {name: copy.deepcopy(value) for name, value in WANTED.items() if name not in PLACE}
    arn = f"arn:aws:bedrock-agentcore:eu-north-1:123456789012:gateway/{GATEWAY}"
    return there | TIMES | {"gatewayArn": arn, "targetId": TARGET, "status": status} | changes


def listed(stubber: Stubber, *names: str) -> None:
    """Two pages, the names being on the second."""
    items = [{"targetId": TARGET, "name": name, "status": "READY", **TIMES} for name in names]
    stubber.add_response("list_gateway_targets", {"items": [], "nextToken": "more"}, PLACE)
    stubber.add_response("list_gateway_targets", {"items": items}, PLACE | {"nextToken": "more"})


def keywords(value: Any) -> set[str]:
    """Of a schema, however deep."""
    found = set(value)
    for one in value.get("properties", {}).values():
        found |= keywords(one)
    return found | (keywords(value["items"]) if "items" in value else set())


# --- the schema


def test_the_committed_schema_is_that_of_the_contract() -> None:
    made = gateway_tools.text(gateway_tools.tools(contract()))
    assert gateway_tools.TOOLS.read_text() == made, "run `make gateway-tools`"


def test_the_schema_uses_only_what_a_gateway_understands() -> None:
    tools = gateway_tools.read()
    assert {tool["name"] for tool in tools} == {"list_pets", "get_pet", "add_pet"}
    for tool in tools:
        assert set(tool) == {"name", "description", "inputSchema"}
        assert keywords(tool["inputSchema"]) <= {"type", "description", "properties", "required", "items"}
        assert all(one["description"] for one in tool["inputSchema"]["properties"].values())


def test_rules_are_told_in_descriptions() -> None:
    properties = {tool["name"]: tool["inputSchema"]["properties"] for tool in gateway_tools.read()}
    assert "From 1 to 100" in properties["list_pets"]["limit"]["description"]
    assert "25 if it is left out" in properties["list_pets"]["limit"]["description"]
    assert "needs type" in properties["list_pets"]["minPrice"]["description"]
    assert "At most 256 characters" in properties["add_pet"]["name"]["description"]
    assert "From 0 to 9.9e+125" in properties["add_pet"]["price"]["description"]
    assert "38 digits" in properties["add_pet"]["price"]["description"]
    assert "At least 1" in properties["get_pet"]["id"]["description"]


def test_the_function_takes_the_arguments_of_the_schema() -> None:
    from pet_store import tools

    for tool in gateway_tools.read():
        assert set(tool["inputSchema"]["properties"]) == set(tools.TOOLS[tool["name"]][1])


def test_a_change_of_the_contract_changes_the_schema() -> None:
    changed = contract()
    changed["components"]["schemas"]["NewPet"]["properties"]["name"]["maxLength"] = 9
    assert "At most 9 characters" in gateway_tools.text(gateway_tools.tools(changed))


def test_rules_that_nobody_would_tell_are_refused() -> None:
    changed = contract()
    name = changed["components"]["schemas"]["NewPet"]["properties"]["name"]
    name["format"] = "email"
    with pytest.raises(CommandError, match="name: a tool's argument can't tell format"):
        gateway_tools.tools(changed)
    del name["format"], name["description"]
    with pytest.raises(CommandError, match="name has no description"):
        gateway_tools.tools(changed)


# --- the target


def test_the_request_names_alias_tools_and_the_gateway_s_own_role() -> None:
    by_arn = gateway_target.request(f"arn:aws:bedrock-agentcore:eu-north-1:1:gateway/{GATEWAY}", "pet-store", ALIAS)
    assert by_arn == WANTED
    assert WANTED["gatewayIdentifier"] == GATEWAY
    function = WANTED["targetConfiguration"]["mcp"]["lambda"]
    assert function["lambdaArn"] == ALIAS
    assert function["toolSchema"]["inlinePayload"] == json.loads(gateway_tools.TOOLS.read_text())
    assert WANTED["credentialProviderConfigurations"] == [{"credentialProviderType": "GATEWAY_IAM_ROLE"}]


def test_a_new_target_is_created_and_waited_for(client: Any, aws: Stubber) -> None:
    listed(aws, "another")
    aws.add_response("create_gateway_target", target("CREATING"), WANTED)
    aws.add_response("get_gateway_target", target("CREATING"), KEY)
    aws.add_response("get_gateway_target", target(), KEY)
    assert gateway_target.put(client, WANTED) == {
        "result": "created",
        "gateway": GATEWAY,
        "target_id": TARGET,
        "status": "READY",
    }


def test_a_target_that_is_as_wanted_is_left_alone(client: Any, aws: Stubber) -> None:
    listed(aws, "another", "pet-store")
    aws.add_response("get_gateway_target", target(), KEY)
    aws.add_response("get_gateway_target", target(), KEY)
    assert gateway_target.put(client, WANTED)["result"] == "unchanged"


@pytest.mark.parametrize(
    "there",
    [
        target(description="older"),
        target(targetConfiguration=gateway_target.request(GATEWAY, "x", f"{ALIAS}2")["targetConfiguration"]),
        target("FAILED"),
        target("UPDATE_UNSUCCESSFUL"),
    ],
    ids=["description", "function", "failed", "failed update"],
)
def test_a_target_that_differs_is_updated(client: Any, aws: Stubber, there: dict[str, Any]) -> None:
    listed(aws, "pet-store")
    aws.add_response("get_gateway_target", target("UPDATING"), KEY)
    aws.add_response("get_gateway_target", there, KEY)
    aws.add_response("update_gateway_target", target("UPDATING"), WANTED | KEY)
    aws.add_response("get_gateway_target", target(), KEY)
    assert gateway_target.put(client, WANTED)["result"] == "updated"


def test_an_update_keeps_what_an_operator_has_set(client: Any, aws: Stubber) -> None:
    theirs = {
        "metadataConfiguration": {"allowedRequestHeaders": ["x-trace"]},
        "privateEndpoint": {
            "managedVpcResource": {
                "vpcIdentifier": "vpc-01234567",
                "subnetIds": ["subnet-1"],
                "endpointIpAddressType": "IPV4",
            }
        },
        "certificateConfigurations": [{"s3": {"uri": "s3://bucket/ca.pem"}}],
    }
    listed(aws, "pet-store")
    aws.add_response("get_gateway_target", target(description="older", **theirs), KEY)
    aws.add_response("update_gateway_target", target("UPDATING"), WANTED | KEY | theirs)
    aws.add_response("get_gateway_target", target(), KEY)
    assert gateway_target.put(client, WANTED)["result"] == "updated"


def test_a_target_that_fails_says_why(client: Any, aws: Stubber) -> None:
    listed(aws)
    aws.add_response("create_gateway_target", target("CREATING"), WANTED)
    aws.add_response("get_gateway_target", target("FAILED", statusReasons=["the role may not invoke it"]), KEY)
    with pytest.raises(CommandError, match="FAILED: the role may not invoke it"):
        gateway_target.put(client, WANTED)


def test_a_target_that_never_settles(client: Any, aws: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_target, "SETTLE_SECONDS", -1)
    listed(aws, "pet-store")
    aws.add_response("get_gateway_target", target("UPDATING"), KEY)
    with pytest.raises(CommandError, match="still UPDATING") as caught:
        gateway_target.put(client, WANTED)
    assert "again" in caught.value.next_step


@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("ResourceNotFoundException", "aws bedrock-agentcore-control list-gateways --region eu-north-1"),
        ("AccessDeniedException", "CreateGatewayTarget"),
        ("ConflictException", "again"),
        ("ValidationException", "--dry-run"),
        ("ServiceQuotaExceededException", "quota"),
    ],
)
def test_what_aws_refuses_comes_with_a_next_step(client: Any, aws: Stubber, code: str, next_step: str) -> None:
    aws.add_client_error("list_gateway_targets", code, "that is so")
    with pytest.raises(CommandError, match=f"gateway {GATEWAY}: that is so") as caught:  # noqa: SIM117
        with gateway_target.explained(GATEWAY, "eu-north-1"):
            gateway_target.put(client, WANTED)
    assert next_step in caught.value.next_step


def test_other_failures_of_aws_stay_as_they_are(client: Any, aws: Stubber) -> None:
    aws.add_client_error("list_gateway_targets", "InternalServerException", "oh")
    with pytest.raises(ClientError, match="oh"), gateway_target.explained(GATEWAY, "eu-north-1"):
        gateway_target.put(client, WANTED)


@pytest.mark.parametrize(
    ("gateway", "name", "said"),
    [
        ("", "pets", "no gateway's id"),
        ("shop", "pets", "no gateway's id"),
        ("Shop-0123456789", "pets", "no gateway's id"),
        (GATEWAY, "", "no name of a target"),
        (GATEWAY, "pet__store", "no name of a target"),
        (GATEWAY, "x" * 101, "no name of a target"),
    ],
)
def test_ids_and_names_that_aws_refuses(gateway: str, name: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        gateway_target.request(gateway, name, ALIAS)
    assert caught.value.next_step


def test_the_patterns_are_those_of_aws(client: Any) -> None:
    members = client.meta.service_model.operation_model("CreateGatewayTarget").input_shape.members
    for name, pattern in (("gatewayIdentifier", gateway_target.GATEWAY_ID), ("name", gateway_target.TARGET_NAME)):
        assert members[name].metadata["pattern"].replace("[-]", "-") == pattern


def test_a_region_without_agentcore() -> None:
    with pytest.raises(CommandError, match="can't be reached") as caught:  # noqa: SIM117
        with gateway_target.explained(GATEWAY, "eu-north-1"):
            raise EndpointConnectionError(endpoint_url="https://nowhere")
    assert "eu-north-1" in caught.value.next_step

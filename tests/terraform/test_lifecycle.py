"""Apply, plan again, destroy: against an AWS in this process, with the real provider and the real backend."""

import json
from typing import Any

import boto3

from tests.terraform.alarms import applied, by_type, silent
from tests.terraform.running import REGION, OpenTerraform

BUCKET = "terraform-states"
LOCAL_BOOTSTRAP = {
    "aws_region": REGION,
    "state_bucket_name": BUCKET,
    # The AWS of this process speaks plain HTTP, and the provider waits a minute for a lifecycle rule to settle.
    "require_tls": False,
    "old_state_days": 0,
}
STACK = {
    "environment": "local",
    "aws_region": REGION,
    "api_auth": "none",
    "deletion_protection": False,
    "lambda_manifest": "tests/fixtures/manifest.json",
    "attach_access_to_roles": {"agent_registry": {"roles": ["outside"]}},
    "alarms": {"subscribers": {"ops": {"endpoint": "ops@example.com"}}, "api": {"latency_milliseconds": 500}},
}
# Each silent by default, so here switched on: what they make must stay and go, too.
OPTIONS = {
    "table_encryption": {"type": "CUSTOMER_MANAGED", "create_kms_key": {"rotation_days": 180}},
    "backup": {"lock": {"max_retention_days": 400}, "exclude": ["pet_store.pets"]},
}


def test_stack_comes_stays_and_goes(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    """Bootstrap takes over a bare bucket; the stack keeps its state there, plans to nothing, and leaves nothing."""
    _client(aws, "s3").create_bucket(Bucket=BUCKET)
    bootstrap = _open(terraform, "terraform/bootstrap", aws, LOCAL_BOOTSTRAP)
    bootstrap.run("apply", "-auto-approve")
    bootstrap.run("plan", "-detailed-exitcode")
    assert _client(aws, "s3").get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"

    iam = _client(aws, "iam")
    trust = {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]
    }
    iam.create_role(RoleName="outside", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))

    ec2 = _client(aws, "ec2")
    (table,) = ec2.describe_route_tables()["RouteTables"]
    endpoint = {"vpc_id": table["VpcId"], "route_table_ids": [table["RouteTableId"]]}
    stack = _open(terraform, "terraform", aws, STACK | OPTIONS | {"dynamodb_vpc_endpoint": endpoint})
    stack.run("apply", "-auto-approve")
    outputs = json.loads(stack.run("output", "-json").stdout)

    registry = outputs["systems"]["value"]["agent_registry"]
    table = _client(aws, "dynamodb").describe_table(TableName=registry["tables"]["agents"]["name"])["Table"]
    assert table["TableArn"] == registry["tables"]["agents"]["arn"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("agentId", "HASH")]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == outputs["table_kms_key_arn"]["value"]
    assert _client(aws, "kms").get_key_rotation_status(KeyId=outputs["table_kms_key_arn"]["value"])[
        "KeyRotationEnabled"
    ]
    (vault,) = _client(aws, "backup").list_backup_vaults()["BackupVaultList"]
    assert (vault["Locked"], vault["MaxRetentionDays"]) == (True, 400)
    (made,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert made["VpcEndpointId"] == outputs["dynamodb_vpc_endpoint"]["value"]["id"]
    alias = _client(aws, "lambda").get_alias(FunctionName=registry["function_name"], Name="live")
    assert alias["FunctionVersion"] == registry["function_version"]
    routes = _client(aws, "apigatewayv2").get_routes(ApiId=outputs["api"]["value"]["id"])["Items"]
    contract = {route for system in outputs["systems"]["value"].values() for route in system["routes"]}
    assert {route["RouteKey"] for route in routes} == contract | {f"ANY {route.split()[1]}" for route in contract}
    assert {route["AuthorizationType"] for route in routes} == {"NONE"}
    _every_metric_of_the_dashboard_is_one(aws)
    published = _published(aws)
    assert published["/agent-state/local/agent_registry/tables/agents"] == registry["tables"]["agents"]["name"]
    assert published["/agent-state/local/api/url"] == outputs["api"]["value"]["url"]
    assert set(published) == set(outputs["parameters"]["value"].values())
    assert [policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName="outside")["AttachedPolicies"]]

    resources = applied(stack.show())
    alarms = [(item["address"], item["values"]) for item in resources if item["type"] == "aws_cloudwatch_metric_alarm"]
    assert {alarm["metric_name"] for _, alarm in alarms if alarm["namespace"] == "AWS/ApiGateway"} == {"5xx", "Latency"}
    assert silent(by_type(resources), alarms) == []
    (selection,) = by_type(resources)["aws_backup_selection"]
    tables = [table["arn"] for made in outputs["systems"]["value"].values() for table in made["tables"].values()]
    assert set(selection["resources"]) == {arn for arn in tables if not arn.endswith(("idempotency", "PetStore"))}

    answer = stack.run("plan", "-detailed-exitcode", accept=(0, 2))
    assert answer.returncode == 0, f"the second plan must change nothing:\n{answer.stdout}"
    assert not list(stack.directory.glob("*.tfstate*")), "the state is in the bucket, and nowhere else"

    stack.run("destroy", "-auto-approve")
    assert _left_over(aws) == {}


def test_a_change_of_memory_moves_the_alias_and_leaves_the_table_alone(
    terraform: OpenTerraform, aws: dict[str, str]
) -> None:
    """Settings of function and table change in place: nothing that holds data is made anew."""
    _client(aws, "s3").create_bucket(Bucket=BUCKET)
    registry = STACK | {
        "systems": ["agent_registry"],
        "attach_access_to_roles": {},
        "alarms": {"enabled": False},
    }
    stack = _open(terraform, "terraform", aws, registry)
    stack.run("apply", "-auto-approve")
    changed = {
        "functions": {"agent_registry": {"memory_megabytes": 1024}},
        "persistence": {"agent_registry": "memory"},
        "point_in_time_recovery_days": 7,
    }
    _write_variables(stack.directory, registry | changed)
    stack.run("plan", "-out=tfplan")
    actions = {
        change["address"]: change["change"]["actions"]
        for change in stack.show("tfplan")["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }
    assert actions == {
        "module.agent_registry_function[0].aws_lambda_function.this": ["update"],
        "module.agent_registry_function[0].aws_lambda_alias.live": ["update"],
        "module.agent_registry_table[0].aws_dynamodb_table.this": ["update"],
    }


def _open(terraform: OpenTerraform, root: str, aws: dict[str, str], variables: dict[str, Any]) -> Any:
    opened = terraform(root, aws, attached=True)
    _write_variables(opened.directory, variables)
    backend = {"bucket": BUCKET, "key": f"{root}.tfstate", "region": REGION, "use_path_style": "true"}
    opened.init("-lockfile=readonly", *(f"-backend-config={name}={value}" for name, value in backend.items()))
    return opened


def _write_variables(directory: Any, variables: dict[str, Any]) -> None:
    (directory / "test.auto.tfvars.json").write_text(json.dumps(variables))


def _client(aws: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


def _left_over(aws: dict[str, str]) -> dict[str, list[str]]:
    """What a destroy forgot, by kind; the role from outside belongs to somebody else."""
    logs, cloudwatch, iam = _client(aws, "logs"), _client(aws, "cloudwatch"), _client(aws, "iam")
    aliases = _client(aws, "kms").list_aliases()["Aliases"]
    endpoints = _client(aws, "ec2").describe_vpc_endpoints()["VpcEndpoints"]
    found = {
        "tables": _client(aws, "dynamodb").list_tables()["TableNames"],
        "functions": [item["FunctionName"] for item in _client(aws, "lambda").list_functions()["Functions"]],
        "log groups": [item["logGroupName"] for item in logs.describe_log_groups()["logGroups"]],
        "APIs": [item["ApiId"] for item in _client(aws, "apigatewayv2").get_apis()["Items"]],
        "alarms": [item["AlarmName"] for item in cloudwatch.describe_alarms()["MetricAlarms"]],
        "dashboards": [item["DashboardName"] for item in cloudwatch.list_dashboards()["DashboardEntries"]],
        "rules": [item["Name"] for item in _client(aws, "events").list_rules()["Rules"]],
        "topics": [item["TopicArn"] for item in _client(aws, "sns").list_topics()["Topics"]],
        "roles": [item["RoleName"] for item in iam.list_roles()["Roles"] if item["RoleName"] != "outside"],
        "parameters": sorted(_published(aws)),
        "vaults": [item["BackupVaultName"] for item in _client(aws, "backup").list_backup_vaults()["BackupVaultList"]],
        "plans": [item["BackupPlanName"] for item in _client(aws, "backup").list_backup_plans()["BackupPlansList"]],
        "keys": [item["AliasName"] for item in aliases if not item["AliasName"].startswith("alias/aws/")],
        "endpoints": [item["VpcEndpointId"] for item in endpoints if item["State"] != "deleted"],
    }
    return {kind: names for kind, names in found.items() if names}


def _published(aws: dict[str, str]) -> dict[str, str]:
    pages = _client(aws, "ssm").get_paginator("get_parameters_by_path").paginate(Path="/agent-state", Recursive=True)
    return {parameter["Name"]: parameter["Value"] for page in pages for parameter in page["Parameters"]}


def _every_metric_of_the_dashboard_is_one(aws: dict[str, str]) -> None:
    """CloudWatch refuses a dashboard whose metrics are not lists: namespace, name, dimensions, options last."""
    cloudwatch = _client(aws, "cloudwatch")
    (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
    widgets = json.loads(cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])["widgets"]
    metrics = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    assert any("GlobalSecondaryIndexName" in metric for metric in metrics)
    for *words, options in metrics:
        assert isinstance(options, dict)
        assert len(words) >= 4
        assert len(words) % 2 == 0
        assert all(isinstance(word, str) for word in words)

"""Tables, functions, API and permissions: broken one by one, found by name, with the command that mends it."""

import json
import socket

import pytest

from scripts import rollback_marks
from tests.glue.diagnosed import (
    ALIAS,
    APPLY,
    EDIT,
    INDEX,
    KEY,
    SYSTEM,
    Diagnosed,
    configured,
    described,
)
from tests.local_aws.conftest import REGION, zip_of
from tests.oidc_issuer import issuing


def test_a_table_is_gone(stack: Diagnosed) -> None:
    stack.client("dynamodb").delete_table(TableName=stack.table)
    found = stack.only("table-missing")
    assert (found.system, found.subject, found.fix) == (SYSTEM, stack.table, APPLY)
    assert "no backup" in found.cause


def test_a_table_is_gone_of_which_there_is_a_backup(stack: Diagnosed) -> None:
    dynamodb = stack.client("dynamodb")
    backup = dynamodb.create_backup(TableName=stack.table, BackupName="before")["BackupDetails"]["BackupArn"]
    dynamodb.delete_table(TableName=stack.table)
    found = stack.only("table-missing")
    assert found.fix.startswith("aws dynamodb restore-table-from-backup ")
    assert backup in found.fix
    assert found.fix.endswith(f" && aws dynamodb wait table-exists --table-name {stack.table} --region {REGION}")
    assert APPLY in found.cause
    stack.client("cloudwatch").delete_alarms(AlarmNames=[f"{stack.name}-errors"])
    stack.logged({"level": "ERROR", "error": f"Requested resource not found: Table: {stack.table} not found"})
    first, *others = stack.examine().findings
    assert first == found, "before what an apply mends: that would make an empty table"
    assert {each.code: each.fix for each in others} == {"table-not-found": found.fix, "alarm-missing": APPLY}
    dynamodb.delete_backup(BackupArn=backup)


def test_a_table_is_in_another_region(stack: Diagnosed) -> None:
    stack.client("dynamodb").delete_table(TableName=stack.table)
    stack.make_table(region="eu-west-1")
    found = stack.only("table-in-another-region")
    assert "not in eu-north-1, but in eu-west-1" in found.what
    assert found.fix == APPLY, "the other table of the stack is here"
    stack.client("dynamodb").delete_table(TableName=stack.markers)
    there = stack.in_region("dynamodb", "eu-west-1")
    there.create_table(
        TableName=stack.markers,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    findings = stack.examine().findings
    assert [found.code for found in findings] == ["table-in-another-region"] * 2
    assert all('region = "eu-west-1"' in found.fix for found in findings)


def test_a_table_is_in_another_region_and_a_backup_of_it_here(stack: Diagnosed) -> None:
    dynamodb = stack.client("dynamodb")
    backup = dynamodb.create_backup(TableName=stack.table, BackupName="before")["BackupDetails"]["BackupArn"]
    dynamodb.delete_table(TableName=stack.table)
    stack.make_table(region="eu-west-1")
    found = stack.only("table-in-another-region")
    assert found.fix.startswith("aws dynamodb restore-table-from-backup ")
    assert backup in found.fix
    assert "not in eu-north-1, but in eu-west-1" in found.what
    dynamodb.delete_backup(BackupArn=backup)


def test_a_table_that_belongs_to_no_system_is_looked_at_too(stack: Diagnosed) -> None:
    stack.resources["aws_dynamodb_table"].append({"name": "extra-table", "hash_key": "id"})
    stack.apply()
    assert stack.only("table-missing").system == "stack"


def test_a_table_cannot_be_used(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "arn:aws:kms:eu-north-1:123456789012:key/k"
    described(
        stack, monkeypatch, TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS", SSEDescription={"KMSMasterKeyArn": key}
    )
    found = stack.only("table-not-active")
    assert f"kms enable-key --key-id {key}" in found.fix
    assert "KMS key" in found.cause


def test_an_index_is_gone(stack: Diagnosed) -> None:
    stack.client("dynamodb").update_table(
        TableName=stack.table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": INDEX}}]
    )
    found = stack.only("index-missing")
    assert (found.subject, found.fix) == (f"{stack.table}/{INDEX}", APPLY)


def test_an_index_is_being_filled(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    described(stack, monkeypatch, index={"IndexStatus": "CREATING"})
    found = stack.only("index-not-active")
    assert "is CREATING" in found.what
    assert found.fix.startswith("until [")


def test_a_table_with_other_keys(stack: Diagnosed) -> None:
    stack.client("dynamodb").delete_table(TableName=stack.table)
    stack.make_table(hash_key="id")
    found = stack.only("keys-differ")
    assert found.fix == "make plan ENV=staging"
    assert "has the keys id, applied were agentId" in found.what


def test_a_table_with_other_settings(stack: Diagnosed) -> None:
    stack.client("dynamodb").update_table(TableName=stack.table, DeletionProtectionEnabled=True)
    found = stack.only("table-settings-differ")
    assert (found.severity, found.fix) == ("warning", APPLY)
    assert "deletion_protection is True, declared False" in found.what
    stack.client("dynamodb").update_table(TableName=stack.table, DeletionProtectionEnabled=False)


def test_a_function_is_gone(stack: Diagnosed) -> None:
    stack.client("lambda").delete_function(FunctionName=stack.name)
    found = stack.found()
    assert found["function-missing"].fix == APPLY
    assert set(found) == {"function-missing", "api-may-not-invoke"}


def test_the_alias_is_gone(stack: Diagnosed) -> None:
    stack.client("lambda").delete_alias(FunctionName=stack.name, Name=ALIAS)
    found = stack.found()
    assert found["alias-missing"].fix == APPLY
    assert set(found) <= {"alias-missing", "api-may-not-invoke"}


def test_a_function_cannot_run(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(stack, monkeypatch, State="Failed", StateReason="The role can't be assumed")
    assert stack.only("function-not-ready").cause == "The role can't be assumed"
    configured(stack, monkeypatch, State="Active", LastUpdateStatus="Failed", LastUpdateStatusReason="no such subnet")
    assert "no such subnet" in stack.only("function-not-ready").cause
    configured(stack, monkeypatch, State="Inactive", LastUpdateStatus="Successful")
    assert "lambda invoke" in stack.only("function-not-ready").fix


def test_a_function_is_stopped(stack: Diagnosed) -> None:
    stack.client("lambda").put_function_concurrency(FunctionName=stack.name, ReservedConcurrentExecutions=0)
    found = stack.only("function-stopped")
    assert found.fix == f"aws lambda delete-function-concurrency --function-name {stack.name} --region {REGION}"
    stack.resources["aws_lambda_function"][0]["reserved_concurrent_executions"] = 0
    stack.apply()
    assert EDIT.fullmatch(stack.only("function-stopped").fix)


def test_code_that_somebody_uploaded(stack: Diagnosed) -> None:
    functions = stack.client("lambda")
    functions.update_function_code(FunctionName=stack.name, ZipFile=zip_of("def handler(e, c): return 1"))
    found = stack.only("code-replaced")
    assert (found.severity, found.fix) == ("warning", APPLY)
    assert "nobody gets it yet" in found.what
    stack.callers_get(functions.publish_version(FunctionName=stack.name)["Version"])
    moved = stack.only("alias-moved")
    assert "get version 2; applied is 1" in moved.what
    assert "other code" in moved.cause


def test_a_share_of_the_calls_goes_elsewhere(stack: Diagnosed) -> None:
    version = stack.function_changed(Description="another")
    stack.client("lambda").update_alias(
        FunctionName=stack.name, Name=ALIAS, RoutingConfig={"AdditionalVersionWeights": {version: 0.25}}
    )
    assert "25% of them 2" in stack.only("alias-moved").what


def test_a_rollback_is_known(stack: Diagnosed) -> None:
    functions = stack.client("lambda")
    functions.update_function_code(FunctionName=stack.name, ZipFile=zip_of("def handler(e, c): return 1"))
    version = functions.publish_version(FunctionName=stack.name)
    stack.code = version["CodeSha256"]
    stack.resources["aws_lambda_alias"][0]["function_version"] = "2"
    stack.apply()
    first = functions.get_function_configuration(FunctionName=stack.name, Qualifier="1")["CodeSha256"]
    mark = rollback_marks.Rollback("2", stack.code, "1", first, "2026-11-28T10:00:00Z", "ann")
    rollback_marks.write(stack.bucket, KEY, rollback_marks.Marks().with_rollback(SYSTEM, mark, {}))
    found = stack.found()
    assert set(found) == {"rolled-back", "code-not-applied"}
    assert {one.severity for one in found.values()} == {"info"}
    assert found["rolled-back"].fix == f"make rollback ENV=staging SYSTEM={SYSTEM} TO=latest"


def test_what_is_built_here_is_not_applied(stack: Diagnosed) -> None:
    manifest = stack.folder / "lambdas" / "manifest.json"
    stated = json.loads(manifest.read_text())
    stated["functions"][SYSTEM]["source_code_hash"] = "other"
    manifest.write_text(json.dumps(stated))
    assert stack.only("code-not-applied").fix == "make plan ENV=staging"


def test_a_function_is_told_another_table(stack: Diagnosed) -> None:
    stack.callers_get(
        stack.function_changed(Environment={"Variables": {**stack.variables, "AGENT_REGISTRY_TABLE_NAME": "Other"}})
    )
    found = stack.found()
    assert "AGENT_REGISTRY_TABLE_NAME='Other'" in found["function-uses-other-table"].what
    assert set(found) == {"alias-moved", "function-uses-other-table"}


def test_a_function_with_other_settings(stack: Diagnosed) -> None:
    secret = {"Variables": {**stack.variables, "TOKEN": "very-secret"}}
    stack.callers_get(stack.function_changed(MemorySize=128, Timeout=3, Environment=secret))
    found = stack.found()
    assert "memory in MB is 128, applied was 256" in found["function-settings-differ"].what
    assert "other values of TOKEN" in found["function-settings-differ"].what
    assert "very-secret" not in json.dumps(found)


def test_a_function_without_a_log_group(stack: Diagnosed) -> None:
    stack.client("logs").delete_log_group(logGroupName=stack.log_group)
    assert stack.only("log-group-missing").fix == APPLY


def test_the_api_is_gone(stack: Diagnosed) -> None:
    stack.client("apigatewayv2").delete_api(ApiId=stack.api)
    assert stack.only("api-missing").fix == APPLY


def test_a_route_is_gone(stack: Diagnosed) -> None:
    stack.client("apigatewayv2").delete_route(ApiId=stack.api, RouteId=stack.route)
    assert stack.only("route-missing").subject == "GET /agents/{id}"


def test_the_api_may_not_call_the_function(stack: Diagnosed) -> None:
    stack.client("lambda").remove_permission(FunctionName=stack.name, Qualifier=ALIAS, StatementId="api")
    assert stack.only("api-may-not-invoke").fix == APPLY


def test_the_api_does_not_answer(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr("scripts.diagnosis.api.reachable_url", lambda _url: f"http://127.0.0.1:{port}")
    assert stack.only("api-unreachable").fix == f"curl -sSv http://127.0.0.1:{port}/"


def test_the_issuer_of_tokens_is_down(stack: Diagnosed) -> None:
    with issuing() as issuer:
        state = stack.state()
        state["outputs"]["verification"]["value"]["api"]["jwt"] = {"issuer": issuer.url, "audiences": ["agents"]}
        stack.apply(state)
        assert "issuer-unreachable" not in stack.found()
        issuer.answers = False
        assert stack.only("issuer-unreachable").fix == f"curl -sSv {issuer.url}/.well-known/openid-configuration"


def test_the_role_is_gone(stack: Diagnosed) -> None:
    iam = stack.client("iam")
    iam.delete_role_policy(RoleName=stack.name, PolicyName="function")
    iam.delete_role(RoleName=stack.name)
    assert stack.only("role-missing").fix == APPLY


def test_a_role_that_lambda_may_not_take_on(stack: Diagnosed) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    stack.client("iam").update_assume_role_policy(
        RoleName=stack.name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    assert stack.only("role-not-assumable").fix == APPLY


def test_a_policy_that_lacks_something(stack: Diagnosed) -> None:
    stack.put_policy(stack.without("AgentsByCapability"))
    found = stack.only("not-authorised")
    assert f"may not dynamodb:Query on {stack.arn('dynamodb', f'table/{stack.table}/index/{INDEX}')}" in found.what
    assert found.fix == APPLY


def test_a_policy_that_is_gone(stack: Diagnosed) -> None:
    stack.client("iam").delete_role_policy(RoleName=stack.name, PolicyName="function")
    assert "logs:PutLogEvents" in stack.only("not-authorised").what


def test_a_policy_that_denies(stack: Diagnosed) -> None:
    deny = {"Sid": "Stop", "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    stack.put_policy({**stack.policy, "Statement": [*stack.policy["Statement"], deny]})
    found = stack.only("not-authorised")
    assert "denies it outright" in found.cause
    assert found.fix == APPLY, "it is Terraform's policy that was changed"


def test_policies_that_deny_and_that_terraform_does_not_know(stack: Diagnosed) -> None:
    """An apply leaves them where they are."""
    iam = stack.client("iam")
    deny = {"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": deny})
    iam.put_role_policy(RoleName=stack.name, PolicyName="by hand", PolicyDocument=document)
    arn = iam.create_policy(PolicyName=f"{stack.name}-d", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=stack.name, PolicyArn=arn)
    assert stack.only("not-authorised").fix == (
        f"aws iam delete-role-policy --role-name {stack.name} --policy-name 'by hand' --region {REGION} && "
        f"aws iam detach-role-policy --role-name {stack.name} --policy-arn {arn} --region {REGION}"
    )
    iam.delete_role_policy(RoleName=stack.name, PolicyName="by hand")
    iam.detach_role_policy(RoleName=stack.name, PolicyArn=arn)
    assert stack.examine().findings == []


def test_a_boundary_that_does_not_allow(stack: Diagnosed) -> None:
    iam = stack.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName=f"{stack.name}-b", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=stack.name, PermissionsBoundary=arn)
    found = stack.only("not-authorised")
    assert "boundary" in found.cause
    assert EDIT.fullmatch(found.fix)


def test_a_policy_that_opens_a_door(stack: Diagnosed) -> None:
    more = {"Sid": "Door", "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    stack.put_policy({**stack.policy, "Statement": [*stack.policy["Statement"], more]})
    found = stack.only("policy-differs")
    assert "has Door" in found.what
    assert found.severity == "warning"

"""Which action on which resource a call of an AWS API is, as IAM sees it.

Known to the resource: API Gateway (HTTP APIs), Application Auto Scaling, AWS Backup, CloudWatch, CloudWatch Logs,
EventBridge, EC2 (VPC endpoints), IAM, KMS, Lambda, S3, Secrets Manager, SNS, SSM, STS. DynamoDB is moto_dynamodb's. Of
other services, and of a call that none of these names, the resource is "*": only a policy on everything allows it. Tags
that a resource has already are known of KMS keys and of AWS Backup.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from scripts.local_aws.settings import ACCOUNT_ID, DEFAULT_REGION

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_MEMBER = re.compile(r"^(\w+)\.(?:member\.|entry\.)?\d+$")
# botocore's name of a service whose calls are told apart by their paths.
_REST = {"lambda": "lambda", "backup": "backup"}
_PREFIXES = {"monitoring": "cloudwatch"}
# Tags on creation take the permission to tag, too.
_TAGGING = {
    "lambda:CreateFunction": "lambda:TagResource",
    "iam:CreateRole": "iam:TagRole",
    "iam:CreatePolicy": "iam:TagPolicy",
    "logs:CreateLogGroup": "logs:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "events:PutRule": "events:TagResource",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "ssm:PutParameter": "ssm:AddTagsToResource",
    "kms:CreateKey": "kms:TagResource",
    "backup:CreateBackupVault": "backup:TagResource",
    "backup:CreateBackupPlan": "backup:TagResource",
    "cognito-idp:CreateUserPool": "cognito-idp:TagResource",
}

Context = dict[str, list[str]]
Need = tuple[str, str, Context]


@dataclasses.dataclass(frozen=True)
class Call:
    """One call: `service` as it signs, `operation` as its API names it."""

    access_key_id: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    method: str
    path: str
    query: str
    form: bool

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        place = f"{self.region if region else ''}:{ACCOUNT_ID if account else ''}"
        return f"arn:{self.partition}:{service}:{place}:{resource}"

    @property
    def partition(self) -> str:
        from moto.utilities.utils import get_partition

        return str(get_partition(self.region))

    def text(self, *names: str) -> str:
        """The first of these parameters that is there."""
        return next((str(self.parameters[name]) for name in names if self.parameters.get(name)), "")

    def texts(self, name: str) -> list[str]:
        found = self.parameters.get(name) or []
        return [str(each) for each in found] if isinstance(found, list) else [str(found)]


def parse(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
    """`target` is path and query as received; header names are lower-case."""
    path, _, query = target.partition("?")
    signed = _CREDENTIAL.search(headers.get("authorization", "")) or _CREDENTIAL.search(
        "Credential=" + unquote(parse_qs(query).get("X-Amz-Credential", [""])[0])
    )
    key, region, service = (signed["key"], signed["region"], signed["service"]) if signed else ("", DEFAULT_REGION, "")
    parameters: dict[str, Any] = {}
    operation, form = "", False
    if amz_target := headers.get("x-amz-target"):
        operation = amz_target.rpartition(".")[2]
        parameters = _json(body)
    elif service in _REST:
        operation, parameters = _rest(_REST[service], method, path, query, body)
    elif method == "POST" and "x-www-form-urlencoded" in headers.get("content-type", ""):
        parameters, form = _form(body), True
        operation = str(parameters.get("Action", ""))
    elif found := re.match(r"^/service/\w+/operation/(\w+)$", path):
        operation = found[1]
    elif service == "apigateway":
        parameters = _json(body)
    return Call(key, service, operation, parameters, region, method, unquote(path), query, form)


def needs(call: Call) -> Iterator[Need]:
    """What the caller must be allowed to do, with the keys that conditions look at."""
    prefix = _PREFIXES.get(call.service, call.service)
    tags = _tags(call.parameters)
    requested: Context = {f"aws:requesttag/{name.lower()}": [value] for name, value in tags.items()}
    for action, resource, context in _BY_SERVICE.get(call.service, _unknown)(call):
        name = f"{prefix}:{action}" if ":" not in action else action
        yield name, resource, requested | context
        if tags and name in _TAGGING:
            yield _TAGGING[name], resource, requested | context


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _form(body: bytes) -> dict[str, Any]:
    """A query call's parameters; lists under the name that their members have in front of their number."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        found[name] = value
        if member := _MEMBER.match(name):
            found.setdefault(member[1], []).append(value)
    return found


@functools.cache
def _operations(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    import botocore.session

    model = botocore.session.get_session().get_service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        uri = http["requestUri"].partition("?")[0].rstrip("/")
        pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", r"(?P<\1>[^/]+)", re.escape(uri))
        found.append((http["method"], re.compile(f"^{pattern}/?$"), name))
    # What has fewer variable parts is meant first.
    return sorted(found, key=lambda each: each[1].pattern.count("(?P<"))


def _rest(service: str, method: str, path: str, query: str, body: bytes) -> tuple[str, dict[str, Any]]:
    for verb, pattern, name in _operations(service):
        if verb == method and (found := pattern.match(path)):
            parameters = {key: unquote(value) for key, value in found.groupdict().items()}
            return name, _json(body) | dict(parse_qsl(query)) | parameters
    return "", {}


def _tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a call, in each of the shapes that services give them."""
    found: dict[str, str] = {}
    for name in ("Tags", "tags", "BackupVaultTags", "BackupPlanTags", "UserPoolTags"):
        stated = parameters.get(name)
        if isinstance(stated, Mapping):
            found |= {str(key): str(value) for key, value in stated.items()}
        elif isinstance(stated, list):
            for tag in stated:
                if isinstance(tag, Mapping):
                    key = tag.get("Key", tag.get("TagKey", ""))
                    found[str(key)] = str(tag.get("Value", tag.get("TagValue", "")))
    for name, value in parameters.items():
        if re.match(
            r"^(Tags|TagSpecification\.\d+\.Tag)\.(member\.)?\d+\.Key$|^TagSpecification\.\d+\.Tag\.\d+\.Key$", name
        ):
            found[str(value)] = str(parameters.get(name.removesuffix("Key") + "Value", ""))
    return found


def _unknown(call: Call) -> Iterator[Need]:
    yield call.operation or "Unknown", "*", {}


def _lambda(call: Call) -> Iterator[Need]:
    name = call.text("Resource", "FunctionName")
    arn = name if name.startswith("arn:") else call.arn("lambda", f"function:{name}") if name else "*"
    action = {"Invoke": "InvokeFunction"}.get(call.operation, call.operation)
    if action == "InvokeFunction" and (qualifier := call.text("Qualifier")):
        arn += f":{qualifier}"
    yield action, arn, {}
    if role := call.text("Role"):
        yield "iam:PassRole", role, {"iam:passedtoservice": ["lambda.amazonaws.com"]}


def _iam(call: Call) -> Iterator[Need]:
    from moto.iam.models import iam_backends

    backend = iam_backends[ACCOUNT_ID][call.partition]
    context: Context = {}
    resource = "*"
    if policy := call.text("PolicyArn"):
        context["iam:policyarn"] = [policy]
    if name := call.text("RoleName"):
        role = next((each for each in backend.roles.values() if each.name == name), None)
        resource = role.arn if role else call.arn("iam", f"role{call.text('Path') or '/'}{name}", region=False)
        boundary = call.text("PermissionsBoundary") or getattr(role, "permissions_boundary_arn", None)
        if boundary:
            context["iam:permissionsboundary"] = [str(boundary)]
    elif policy:
        resource = policy
    elif name := call.text("PolicyName"):
        resource = call.arn("iam", f"policy{call.text('Path') or '/'}{name}", region=False)
    elif provider := call.text("OpenIDConnectProviderArn"):
        resource = provider
    elif service := call.text("AWSServiceName"):
        resource = call.arn("iam", f"role/aws-service-role/{service}/AWSServiceRole", region=False)
        context["iam:awsservicename"] = [service]
    elif name := call.text("UserName"):
        resource = call.arn("iam", f"user/{name}", region=False)
    yield call.operation, resource, context


def _s3(call: Call) -> Iterator[Need]:
    bucket, _, key = call.path.lstrip("/").partition("/")
    query = parse_qs(call.query, keep_blank_values=True)
    arn = f"arn:{call.partition}:s3:::{bucket}" + (f"/{key}" if key else "")
    if key:
        action = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}.get(call.method, "PutObject")
    elif not bucket:
        action, arn = "ListAllMyBuckets", "*"
    elif call.method == "POST":
        action, arn = "DeleteObject", f"{arn}/*"  # of many at once
    elif call.method == "HEAD" or (call.method == "GET" and (not query or {"list-type", "prefix"} & query.keys())):
        action = "ListBucket"
    elif part := next((name for name in query if name.isalpha() and name.islower()), ""):
        action = f"{call.method.capitalize()}Bucket{part.capitalize()}"
    else:
        action = "CreateBucket" if call.method == "PUT" else "DeleteBucket"
    yield action, arn, {"s3:prefix": query["prefix"]} if "prefix" in query else {}


def _logs(call: Call) -> Iterator[Need]:
    if arn := call.text("resourceArn"):
        resource = arn
    elif name := call.text("logGroupName", "logGroupIdentifier"):
        resource = name if name.startswith("arn:") else call.arn("logs", f"log-group:{name}:log-stream:")
    elif call.operation == "DescribeLogGroups":
        resource = call.arn("logs", "log-group::log-stream:")
    else:
        resource = "*"
    yield call.operation, resource, {}


def _ssm(call: Call) -> Iterator[Need]:
    names = call.texts("Names") or call.texts("Name") or call.texts("ResourceId") or call.texts("Path")
    for name in names:
        yield call.operation, call.arn("ssm", f"parameter/{name.lstrip('/')}"), {}
    if not names:
        yield call.operation, "*", {}


def _secretsmanager(call: Call) -> Iterator[Need]:
    from moto.secretsmanager.models import secretsmanager_backends

    stated = call.text("SecretId", "Name")
    secret = secretsmanager_backends[ACCOUNT_ID][call.region].secrets.get(stated) if stated else None
    if secret is None and stated and not stated.startswith("arn:"):
        stated = call.arn("secretsmanager", f"secret:{stated}-??????")  # a new one's ARN ends as AWS likes
    yield call.operation, secret.arn if secret is not None else stated or "*", {}


def _sns(call: Call) -> Iterator[Need]:
    name = call.text("Name")
    yield call.operation, call.text("TopicArn", "ResourceArn") or (call.arn("sns", name) if name else "*"), {}


def _events(call: Call) -> Iterator[Need]:
    name = call.text("Rule", "Name")
    yield call.operation, call.text("ResourceARN") or (call.arn("events", f"rule/{name}") if name else "*"), {}
    for target in call.parameters.get("Targets") or []:
        if role := target.get("RoleArn"):
            yield "iam:PassRole", role, {"iam:passedtoservice": ["events.amazonaws.com"]}


def _cloudwatch(call: Call) -> Iterator[Need]:
    if call.operation == "DescribeAlarms":
        yield call.operation, call.arn("cloudwatch", "alarm:*"), {}
        return
    alarms = call.texts("AlarmNames") or call.texts("AlarmName")
    dashboards = call.texts("DashboardNames") or call.texts("DashboardName")
    found = [call.arn("cloudwatch", f"alarm:{name}") for name in alarms]
    found += [call.arn("cloudwatch", f"dashboard/{name}", region=False) for name in dashboards]
    for resource in found or [call.text("ResourceARN") or "*"]:
        yield call.operation, resource, {}


def _kms(call: Call) -> Iterator[Need]:
    from moto.kms.models import kms_backends

    backend = kms_backends[ACCOUNT_ID][call.region]
    stated = call.text("KeyId", "TargetKeyId")
    found = backend.keys.get(backend.any_id_to_key_id(stated)) if stated else None
    context: Context = {}
    if found is not None:
        context = _has_tags(backend.tagger.get_tag_dict_for_resource(found.id))
    if alias := call.text("AliasName"):
        yield call.operation, call.arn("kms", alias), {}
    if found is not None or not alias:
        yield call.operation, found.arn if found is not None else "*", context


def _has_tags(tags: Mapping[str, str]) -> Context:
    return {f"aws:resourcetag/{name.lower()}": [value] for name, value in tags.items()}


def _backup(call: Call) -> Iterator[Need]:
    from moto.backup.models import backup_backends

    vault = call.text("backupVaultName", "BackupVaultName")
    plan = call.text("backupPlanId", "BackupPlanId")
    if arn := call.text("resourceArn", "ResourceArn"):
        resource = arn
    elif vault:
        resource = call.arn("backup", f"backup-vault:{vault}")
    elif plan or call.operation == "CreateBackupPlan":
        resource = call.arn("backup", f"backup-plan:{plan or '*'}")
    else:
        resource = "*"
    yield call.operation, resource, _has_tags(backup_backends[ACCOUNT_ID][call.region].list_tags(resource))
    if call.operation == "CreateBackupVault":
        yield "backup-storage:MountCapsule", "*", {}
    if role := (call.parameters.get("BackupSelection") or {}).get("IamRoleArn"):
        yield "iam:PassRole", role, {"iam:passedtoservice": ["backup.amazonaws.com"]}


def _cognito(call: Call) -> Iterator[Need]:
    """All that is in a pool is the pool's; a pool that is yet to be made, and a domain by its name, are everything."""
    from moto.cognitoidp.models import cognitoidp_backends

    pool_id = call.text("UserPoolId") or call.text("ResourceArn").rpartition("/")[2]
    if not pool_id:
        yield call.operation, "*", {}
        return
    pool = cognitoidp_backends[ACCOUNT_ID][call.region].user_pools.get(pool_id)
    tags = (pool.extended_config.get("UserPoolTags") or {}) if pool else {}
    yield call.operation, call.arn("cognito-idp", f"userpool/{pool_id}"), _has_tags(tags)


def _scaling(call: Call) -> Iterator[Need]:
    if call.operation.startswith("Describe"):
        yield call.operation, "*", {}
        return
    context = {"application-autoscaling:service-namespace": [call.text("ServiceNamespace")]}
    resource = call.text("ResourceARN") or call.arn("application-autoscaling", "scalable-target/id")
    yield call.operation, resource, context if call.text("ServiceNamespace") else {}


def _ec2(call: Call) -> Iterator[Need]:
    named = {"vpc": "VpcId", "route-table": "RouteTableId", "vpc-endpoint": "VpcEndpointId"}
    found = [call.arn("ec2", f"{kind}/{each}") for kind, name in named.items() for each in call.texts(name)]
    if call.operation == "CreateVpcEndpoint":
        found.append(call.arn("ec2", "vpc-endpoint/*"))
    for resource in ["*"] if call.operation.startswith("Describe") else found or ["*"]:
        yield call.operation, resource, {}


def _apigateway(call: Call) -> Iterator[Need]:
    yield call.method, call.arn("apigateway", call.path.removeprefix("/v2"), account=False), {}


def _sts(call: Call) -> Iterator[Need]:
    if call.operation != "GetCallerIdentity":  # which nobody can be denied
        yield call.operation, call.text("RoleArn") or "*", {}


_BY_SERVICE: dict[str, Callable[[Call], Iterator[Need]]] = {
    "apigateway": _apigateway,
    "application-autoscaling": _scaling,
    "backup": _backup,
    "cognito-idp": _cognito,
    "ec2": _ec2,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "monitoring": _cloudwatch,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
    "sns": _sns,
    "ssm": _ssm,
    "sts": _sts,
}

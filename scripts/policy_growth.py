"""What a policy document allows by a wildcard that the one before it did not allow."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple

# AWS authorises these on everything or on nothing, or only before the thing has a name.
_WITHOUT_RESOURCES = (
    "application-autoscaling:describe*",
    "backup:copyfrombackupvault",
    "backup-storage:mountcapsule",
    "cloudwatch:describealarms",
    "cloudwatch:getmetric*",
    "cloudwatch:listmetrics",
    "cloudwatch:putmetricdata",
    "dynamodb:describelimits",
    "dynamodb:listtables",
    "dynamodb:liststreams",
    "ec2:describe*",
    "ecr:getauthorizationtoken",
    "kms:createkey",
    "kms:listaliases",
    "kms:listkeys",
    "lambda:listfunctions",
    "lambda:listeventsourcemappings",
    "logs:describeloggroups",
    "logs:describeresourcepolicies",
    "logs:putresourcepolicy",
    "logs:*logdeliver*",
    "s3:listallmybuckets",
    "sns:*subscriptionattributes",
    "sns:unsubscribe",
    "ssm:describeparameters",
    "sts:getcalleridentity",
    "tag:getresources",
    "xray:batchget*",
    "xray:get*",
    "xray:put*",
)
# They tell what there is, and nothing that is in it.
_METADATA = ("*:describe*", "*:list*", "kms:getkeypolicy", "kms:getkeyrotationstatus", "apigateway:get", "backup:get*")
# A wildcard that stays within one thing that is named.
_WITHIN_ONE = re.compile(
    r"arn:[^:*?]+:(?:"
    r"logs:[^:*?]+:\d+:log-group:[^:*?]+:.*"
    r"|dynamodb:[^:*?]+:\d+:table/[^/*?]+/(?:index|stream|backup|export|import)/.*"
    r"|s3:::[^/*?]+/.*"
    r"|execute-api:[^:*?]+:\d+:[^/*?]+/.*"
    r"|lambda:[^:*?]+:\d+:function:[^:*?]+:.*"
    r"|secretsmanager:[^:*?]+:\d+:secret:[^:*?]+-\?{6}"
    r")"
)
# Their ids are AWS's to give: no policy can name them before they are made.
_UNNAMED = {
    "apigateway:/apis",
    "apigateway:/tags",
    "application-autoscaling:scalable-target",
    "backup:backup-plan",
    "backup:recovery-point",
    "ec2:network-interface",
}
# Lambda is refused a network but for these on all that EC2 has in the account.
_OF_NETWORK_INTERFACES = "ec2:*networkinterface*"
# Conditions that tie a caller down, whoever it is: by account or organisation, by name, by network.
_BINDING = {
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    "kms:calleraccount",
}
_BINDING_ARNS = {"aws:principalarn", "aws:sourcearn"}
# Conditions that tie down what is reached.
_NARROWING = ("aws:resourcetag/", "aws:requesttag/", "kms:viaservice")
_COMPARING = {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"}
_EVERYBODY = "*"
_KIND = re.compile(r"^(/?[^/:]*)[/:]?(.*)$", re.DOTALL)  # `table/Agents`, `function:agents`, `/apis/a1b2`
_SHORTEST_PREFIX = 3


class Grant(NamedTuple):
    """One thing that a statement allows; `principal` is "" in documents that name none."""

    principal: str
    action: str
    resource: str
    condition: str

    def covers(self, other: "Grant") -> bool:
        return (
            self.condition in ("", other.condition)
            and _matches(other.principal, self.principal)
            and _matches(other.action.lower(), self.action.lower())
            and _matches(other.resource, self.resource)
        )

    def wildcards(self, *, of_itself: bool, new: bool) -> list[str]:
        """Its parts that reach further than they name.

        `of_itself`: resource "*" is what the document belongs to. `new`: there was no policy; then names that only
        begin alike (`table/agents-*`) are how it is meant, while a name that becomes such a pattern is growth.
        """
        found = []
        if self.principal.startswith(_EVERYBODY) and not _is_bound(self.condition):
            found.append(f'principal "{self.principal}"')
        if self.action.lower() == "sts:assumerolewithwebidentity":
            found += [f"tokens of {self.principal.removeprefix('Federated ')} for {who}" for who in self._subjects()]
        if _is_wild(self.action) and not any(_matches(self.action.lower(), each) for each in _WITHOUT_RESOURCES):
            found.append(f'action "{self.action}"')
        if not (of_itself and self.resource == "*") and self._reaches_further(new=new):
            found.append(f'resource "{self.resource}"')
        return found

    def _subjects(self) -> list[str]:
        """Who of a provider of tokens is let in, where it is more than a name."""
        stated = [
            one for key, values in _tests(self.condition) if key.endswith((":sub", ":repository")) for one in values
        ]
        if not stated and self.principal.endswith(("token.actions.githubusercontent.com", "app.terraform.io")):
            return ["everybody who has an account there"]
        return [f'"{value}"' for value in stated if _is_wild(value)]

    def _reaches_further(self, *, new: bool) -> bool:
        resource, action = self.resource, self.action.lower()
        if not _is_wild(resource) or _WITHIN_ONE.fullmatch(resource):
            return False
        if any(_matches(action, each) for each in _WITHOUT_RESOURCES):
            return False
        if any(key.startswith(_NARROWING) and all(map(_names, values)) for key, values in _tests(self.condition)):
            return False
        parts = resource.split(":", 5)
        if len(parts) < 6 or any(_is_wild(part) for part in parts[:5]):
            return True
        service, within = parts[2], parts[5]
        if service == "ec2" and _matches(action, _OF_NETWORK_INTERFACES):
            return False
        if service in ("s3", "sns", "sqs"):  # the name stands alone
            kind, name = "", within
        else:
            kind, name = _KIND.sub(r"\1\n\2", within, count=1).split("\n", 1)
        prefix = re.split(r"[*?]", re.sub(r"^/aws/[^/]+/", "", name))[0]
        if f"{service}:{kind}" in _UNNAMED or (kind and not prefix and any(_matches(action, one) for one in _METADATA)):
            return _is_wild(kind)
        return not new or _is_wild(kind) or len(prefix.strip("/:")) < _SHORTEST_PREFIX


def documents(values: Any) -> Iterator[str]:
    """Every policy document among a resource's values, however deep."""
    if isinstance(values, Mapping):
        for value in values.values():
            yield from documents(value)
    elif isinstance(values, list):
        for value in values:
            yield from documents(value)
    elif isinstance(values, str) and '"Statement"' in values:
        try:
            parsed = json.loads(values)
        except ValueError:
            return
        if isinstance(parsed, dict) and "Statement" in parsed:
            yield values


def grown(
    before: Iterable[str], after: Iterable[str], *, of_itself: bool = False, principals: bool = True
) -> list[str]:
    """The wildcards, in words, by which the documents `after` allow something that those `before` did not allow.

    `principals`: False where everybody is named as a matter of course, as at an endpoint.
    """
    allowed = [grant for document in before for grant in _grants(document)]
    found: dict[str, None] = {}
    for grant in (grant for document in after for grant in _grants(document)):
        wildcards = grant.wildcards(of_itself=of_itself, new=not allowed)
        if not principals:
            wildcards = [wildcard for wildcard in wildcards if not wildcard.startswith("principal")]
        if wildcards and not any(earlier.covers(grant) for earlier in allowed):
            found |= dict.fromkeys(wildcards)
    return list(found)


def _grants(document: str) -> Iterator[Grant]:
    for statement in _list(json.loads(document)["Statement"]):
        if statement.get("Effect") != "Allow":
            continue
        condition = json.dumps(statement["Condition"], sort_keys=True) if statement.get("Condition") else ""
        parts = product(_principals(statement), _named(statement, "Action"), _named(statement, "Resource"))
        yield from (Grant(principal, action, resource, condition) for principal, action, resource in parts)


def _named(statement: Mapping[str, Any], name: str) -> list[str]:
    """What the statement names; a trust policy names no resource."""
    if f"Not{name}" in statement:
        return [_all_but(statement[f"Not{name}"])]
    return [str(value) for value in _list(statement.get(name, []))] or [""]


def _principals(statement: Mapping[str, Any]) -> list[str]:
    if "NotPrincipal" in statement:
        stated = statement["NotPrincipal"]
        return [_all_but([one for each in stated.values() for one in _list(each)] if isinstance(stated, dict) else [])]
    stated = statement.get("Principal", "")
    if isinstance(stated, str):
        return [stated]
    return [
        _EVERYBODY if value == "*" else value if kind == "AWS" else f"{kind} {value}"
        for kind, values in stated.items()
        for value in _list(values)
    ]


def _all_but(excepted: Any) -> str:
    """Whatever comes is in it: more than any list of names."""
    return f"* but {', '.join(sorted(str(one) for one in _list(excepted)))}"


def _is_bound(condition: str) -> bool:
    return any(
        (key in _BINDING and all(map(_names, values))) or (key in _BINDING_ARNS and all(map(_names_owner, values)))
        for key, values in _tests(condition)
    )


def _names(value: str) -> bool:
    return bool(value.strip("*?")) and not re.fullmatch(r"[0.:]+/0", value)


def _names_owner(arn: str) -> bool:
    """The account; the ARNs of buckets have none, and their names are everybody's."""
    account, resource = ([*arn.split(":", 5)] + [""] * 6)[4:6]
    return account.isdigit() or (not account and bool(resource.strip("*?/")))


def _tests(condition: str) -> Iterator[tuple[str, list[str]]]:
    """Keys, in lower case, with the values of which one must be met.

    An operator that also holds for what is missing (`…IfExists`, `ForAllValues:`) ties nobody down.
    """
    for operator, tests in json.loads(condition or "{}").items():
        if operator.lower().removeprefix("foranyvalue:") in _COMPARING:
            yield from ((key.lower(), [str(value) for value in _list(values)]) for key, values in tests.items())


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


def _matches(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """What the wildcards of a policy stand for. A wildcard is matched by none narrower than itself."""
    return re.compile(
        "".join({"*": ".*", "?": "[^*]"}.get(character, re.escape(character)) for character in pattern), re.DOTALL
    )


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]

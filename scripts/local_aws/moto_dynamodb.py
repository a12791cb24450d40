"""DynamoDB in moto: who may call, one call at a time, and the rules that moto does not know."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.local_aws import (
    consumed_capacity,
    contributor_insights,
    dynamodb_indexes,
    dynamodb_restores,
    dynamodb_strictness,
    dynamodb_tables,
)
from scripts.local_aws.invocation import caller_access_key
from scripts.local_aws.moto_patch import replace
from scripts.local_aws.roles import Roles, Session
from scripts.local_aws.settings import ACCOUNT_ID
from scripts.local_aws.sigv4 import Secret, SignatureError, SignedRequest, verify

_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_PARTIQL = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE)\b.*?\"([^\"]+)\"", re.IGNORECASE | re.DOTALL)
_Parameters = Mapping[str, Any]
Need = tuple[str, str, dict[str, list[str]]]


def _table_arn(name: str, region: str, partition: str) -> str:
    return name if name.startswith("arn:") else f"arn:{partition}:dynamodb:{region}:{ACCOUNT_ID}:table/{name}"


def needs(action: str, parameters: _Parameters, region: str, partition: str) -> Iterator[Need]:
    """What a call must be allowed to do: pairs of action and resource, with the keys that conditions look at.

    Transactions need the actions inside them: there is no permission for TransactWriteItems.
    """

    def need(name: str, table: str, items: list[_Parameters], extra: dict[str, list[str]] | None = None) -> Need:
        context = dict(extra or {})
        if leading := _leading_keys(table, region, items):
            context["dynamodb:leadingkeys"] = leading
        return f"dynamodb:{name}", _table_arn(table, region, partition), context

    if action in ("BatchGetItem", "BatchWriteItem"):
        for table, request in parameters.get("RequestItems", {}).items():
            if action == "BatchGetItem":
                keys = list(request.get("Keys", []))
            else:
                keys = [
                    (r.get("PutRequest") or {}).get("Item") or (r.get("DeleteRequest") or {}).get("Key") or {}
                    for r in request
                ]
            yield need(action, table, keys)
    elif action in ("TransactWriteItems", "TransactGetItems"):
        for entry in parameters.get("TransactItems", []):
            for kind, operation in entry.items():
                keys = [operation.get("Item") or operation.get("Key") or {}]
                extra = {"dynamodb:enclosingoperation": [action]}
                yield need(_TRANSACTION_ACTIONS.get(kind, kind), operation.get("TableName", ""), keys, extra)
    elif action in ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"):
        statements = parameters.get("Statements") or parameters.get("TransactStatements") or [parameters]
        for statement in statements:
            found = _PARTIQL.match(statement.get("Statement", ""))
            verb, table = (found[1].capitalize(), found[2]) if found else ("Select", "*")
            yield f"dynamodb:PartiQL{verb}", _table_arn(table, region, partition), {}
    elif action in ("RestoreTableToPointInTime", "RestoreTableFromBackup"):
        source = (
            parameters.get("BackupArn") or parameters.get("SourceTableArn") or parameters.get("SourceTableName", "")
        )
        yield f"dynamodb:{action}", _table_arn(source, region, partition), {}
        for name in dynamodb_restores.TARGET_ACTIONS:
            yield need(name, parameters.get("TargetTableName", ""), [])
    elif "BackupArn" in parameters:
        yield f"dynamodb:{action}", parameters["BackupArn"], {}
    elif "TableName" in parameters:
        table = parameters["TableName"]
        items = [parameters.get("Key") or parameters.get("Item") or {}]
        if action == "Query":
            items = _query_key(table, region, parameters)
        extra = {
            f"dynamodb:{name.lower()}": [str(parameters[name])]
            for name in ("Select", "ReturnValues")
            if name in parameters
        }
        name, resource, context = need(action, table, items, extra)
        if parameters.get("IndexName"):
            resource += f"/index/{parameters['IndexName']}"
        yield name, resource, context
        if action == "CreateTable" and parameters.get("Tags"):
            yield "dynamodb:TagResource", resource, context
    elif "ResourceArn" in parameters:
        yield f"dynamodb:{action}", parameters["ResourceArn"], {}
    else:
        yield f"dynamodb:{action}", "*", {}


def _moto_table(name: str, region: str) -> Any:
    from moto.dynamodb.models import dynamodb_backends

    return dynamodb_backends[ACCOUNT_ID][region].tables.get(name.rsplit("/", 1)[-1])


def _scalar(value: Any) -> str:
    return str(next(iter(value.values()), "")) if isinstance(value, Mapping) else str(value)


def _leading_keys(table: str, region: str, items: list[_Parameters]) -> list[str]:
    found = _moto_table(table, region)
    if found is None:
        return []
    return [_scalar(item[found.hash_key_attr]) for item in items if found.hash_key_attr in item]


def _query_key(table: str, region: str, parameters: _Parameters) -> list[_Parameters]:
    """The partition that a Query reads, as an item of the table (of the index, when it has one)."""
    found = _moto_table(table, region)
    if found is None:
        return []
    hash_attribute = found.hash_key_attr
    if index := parameters.get("IndexName"):
        schema: list[dict[str, str]] = next((i.schema for i in found.all_indexes() if i.name == index), [])
        hash_attribute = next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), "")
    names = parameters.get("ExpressionAttributeNames") or {}
    for name, value in re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", parameters.get("KeyConditionExpression") or ""):
        if names.get(name, name) == hash_attribute:
            return [{found.hash_key_attr: (parameters.get("ExpressionAttributeValues") or {}).get(value, "")}]
    return []


def _error(
    status: int, type_: str, message: str, namespace: str = "com.amazon.coral.service"
) -> tuple[int, dict[str, str], str]:
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": "application/x-amz-json-1.0"}
    return status, headers, json.dumps({"__type": f"{namespace}#{type_}", "message": message})


def _well_signed(session: Session, handler: Any) -> bool:
    request = handler.normalized_request
    signed = SignedRequest(
        method=request.method,
        path=request.path,
        query=handler.parsed_url.query,
        headers=[(name.lower(), value) for name, value in request.headers.items()],
        body=handler.raw_body if isinstance(handler.raw_body, bytes) else handler.raw_body.encode(),
    )
    try:
        verify(signed, "dynamodb", lambda _: Secret(session.secret_access_key, session.session_token))
    except SignatureError:
        return False
    return True


def _refusal(roles: Roles, session: Session, handler: Any) -> tuple[int, dict[str, str], str] | None:
    """AWS's AccessDeniedException for a call that the caller's role does not allow; None when it does."""
    action = handler._get_action()
    if handler.headers.get("x-amz-security-token") != session.session_token:
        return _error(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
    if not _well_signed(session, handler):
        message = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
        return _error(400, "InvalidSignatureException", message)
    refused: tuple[int, dict[str, str], str] | None = None
    general = {
        "aws:principalarn": [session.role_arn],
        "aws:principalaccount": [ACCOUNT_ID],
        "aws:requestedregion": [handler.region],
        "aws:securetransport": ["false"],
        "aws:sourceip": ["127.0.0.1"],
    }
    for name, resource, context in needs(action, handler.params, handler.region, session.partition):
        decision = roles.allows(session.role_arn, session.partition, name, resource, general | context)
        if decision != "allow" and refused is None:
            why = (
                "with an explicit deny in an identity-based policy"
                if decision == "deny"
                else f"because no identity-based policy allows the {name} action"
            )
            refused = _error(
                400,
                "AccessDeniedException",
                f"User: {session.arn} is not authorized to perform: {name} on resource: {resource} {why}",
            )
    return refused


def _checked(handler: Any, tokens: dynamodb_strictness.Tokens, call: Callable[[], Any]) -> Any:
    """The call's answer, or DynamoDB's refusal of what moto would let pass."""
    action, parameters, region = handler._get_action(), handler.params, handler.region

    def read(table: Any, key: Mapping[str, Any]) -> Mapping[str, Any]:
        place = dynamodb_tables.key_of(table, key)
        item = table.get_item(*place) if place is not None else None
        attributes: Mapping[str, Any] = item.to_json()["Attributes"] if item is not None else {}
        return attributes

    try:
        dynamodb_strictness.check(action, parameters, lambda name: _moto_table(name, region), read)
        dynamodb_indexes.check(action, parameters, _moto_table(parameters.get("TableName", ""), region))
        dynamodb_restores.check(action, parameters, lambda name: _moto_table(name, region))
    except dynamodb_strictness.InvalidError as error:
        return _error(400, "ValidationException", str(error), "com.amazon.coral.validate")
    except dynamodb_indexes.LimitExceededError as error:
        return _error(400, "LimitExceededException", str(error), "com.amazonaws.dynamodb.v20120810")
    except dynamodb_restores.RefusedError as error:
        return _error(400, error.type, str(error), "com.amazonaws.dynamodb.v20120810")
    if action != "TransactWriteItems":
        return call()
    seen = tokens.seen(region, parameters)
    if seen == "different":
        message = "Request with the same ClientRequestToken was already processed with different parameters"
        return _error(400, "IdempotentParameterMismatchException", message, "com.amazonaws.dynamodb.v20120810")
    if seen == "same":
        return 200, {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": "application/x-amz-json-1.0"}, "{}"
    answer = call()
    if answer[0] == 200:
        tokens.remember(region, parameters)
    return answer


def install(roles: Roles, index_backfill_seconds: float = 0.0, restore_seconds: float = 0.0) -> None:
    """Patches moto. Once a process."""
    from moto.dynamodb.responses import DynamoHandler

    dynamodb_tables.install()
    dynamodb_indexes.install(index_backfill_seconds)
    dynamodb_restores.install(restore_seconds)
    consumed_capacity.install()
    # moto takes equal keys of different tables for duplicates; dynamodb_strictness knows better.
    DynamoHandler._contains_duplicates = staticmethod(lambda _keys: False)
    insights = contributor_insights.install()
    tokens = dynamodb_strictness.Tokens()
    # moto checks a condition and writes in two steps: two callers at once could both pass.
    lock = threading.RLock()

    @replace(DynamoHandler, "call_action")
    def call_action(original: Any, self: Any) -> Any:
        with lock:
            session = roles.find(caller_access_key(self.headers.get("Authorization")))
            if session is not None:
                refusal = _refusal(roles, session, self)
                if refusal is not None:
                    return refusal
            region = self.region
            answer = _checked(
                self,
                tokens,
                lambda: consumed_capacity.metered(self, lambda name: _moto_table(name, region), lambda: original(self)),
            )
        for _, arn, context in needs(self._get_action(), self.params, self.region, self.partition):
            insights.count(arn, context.get("dynamodb:leadingkeys", ()))
        return answer

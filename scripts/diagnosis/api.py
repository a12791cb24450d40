"""The HTTP API: there, with its routes, allowed to call the functions, and within reach."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import urllib3

from scripts import aws
from scripts.api_client import reachable_url
from scripts.diagnosis import fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import Finding, finding

_TIMEOUT = urllib3.Timeout(connect=5, read=10)


def look(examined: Examined) -> Iterator[Finding]:
    stated, environment = examined.state.verification.get("api"), examined.environment
    if not stated:
        return
    gateway = aws.client("apigatewayv2")
    try:
        gateway.get_api(ApiId=stated["id"])
    except gateway.exceptions.NotFoundException:
        yield finding(
            "api-missing",
            stated["id"],
            f"there is no HTTP API {stated['id']}",
            "somebody deleted it outside Terraform; a new one has another address",
            fixes.apply(environment),
        )
        return
    pages = gateway.get_paginator("get_routes").paginate(ApiId=stated["id"])
    routes = {route["RouteKey"]: route.get("Target", "") for page in pages for route in page["Items"]}
    for route in examined.state.of("aws_apigatewayv2_route"):
        if route["api_id"] == stated["id"] and not routes.get(route["route_key"]):
            yield finding(
                "route-missing",
                route["route_key"],
                f"the API has no route {route['route_key']}",
                "somebody removed it, or its integration, outside Terraform: callers get 404 or 500",
                fixes.apply(environment),
            )
    yield from _reach(stated["url"])
    if stated.get("jwt"):
        yield from _issuer(stated["jwt"]["issuer"])


def _issuer(issuer: str) -> Iterator[Finding]:
    """Whether the tokens' issuer publishes its keys where API Gateway looks for them; Cognito's are AWS's matter."""
    if (urlsplit(issuer).hostname or "").startswith("cognito-idp."):
        return
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        keys = json.loads(_got(json.loads(_got(address))["jwks_uri"]))["keys"]
        evidence = "" if keys else "no keys"
    except (urllib3.exceptions.HTTPError, ValueError, LookupError, TypeError) as error:
        evidence = f"{type(error).__name__}: {error}"
    if evidence:
        yield finding(
            "issuer-unreachable",
            issuer,
            f"{issuer} does not publish the keys of its tokens where OpenID Connect has them",
            "the issuer is down, or api_jwt names another address than its tokens do in iss: callers get 401, whatever "
            "their token is",
            f"curl -sSv {address}",
            evidence=evidence,
        )


def _got(address: str) -> bytes:
    answer = urllib3.request("GET", address, timeout=_TIMEOUT, retries=False)
    if answer.status != 200:
        raise ValueError(f"{address} answered {answer.status}")
    return answer.data


def _reach(url: str) -> Iterator[Finding]:
    """Any answer will do: without a signature it is a refusal."""
    address = reachable_url(url)
    try:
        urllib3.request("GET", f"{address}/", headers={"host": urlsplit(url).netloc}, timeout=_TIMEOUT, retries=False)
    except urllib3.exceptions.HTTPError as error:
        yield finding(
            "api-unreachable",
            url,
            f"{url} does not answer from here",
            "a proxy or VPN in between, or the API's default endpoint is switched off",
            f"curl -sSv {address}/",
            evidence=str(error),
        )


def permission(examined: Examined, system: str) -> Iterator[Finding]:
    """Whether the API may call the system's function."""
    made, stated = examined.state.systems[system], examined.state.verification.get("api")
    if not stated:
        return
    functions = aws.client("lambda")
    try:
        policy = functions.get_policy(FunctionName=made["function_name"], Qualifier=made["alias_name"])["Policy"]
        statements = json.loads(policy)["Statement"]
    except functions.exceptions.ResourceNotFoundException:
        statements = []
    if not any(_lets_in(statement, stated["id"]) for statement in statements):
        yield finding(
            "api-may-not-invoke",
            f"{made['function_name']}:{made['alias_name']}",
            f"the API {stated['id']} may not call {made['function_name']}",
            "the permission was removed from the alias outside Terraform, or the alias was made anew without it: "
            "callers get 500",
            fixes.apply(examined.environment),
            system=system,
        )


def _lets_in(statement: dict[str, Any], api_id: str) -> bool:
    principal = statement.get("Principal", {})
    service = principal.get("Service") if isinstance(principal, dict) else principal
    sources = [
        source
        for operator in statement.get("Condition", {}).values()
        for key, source in operator.items()
        if key.lower() == "aws:sourcearn"
    ]
    return (
        statement["Effect"] == "Allow"
        and service == "apigateway.amazonaws.com"
        and statement["Action"] in ("lambda:InvokeFunction", "lambda:*")
        and all(fnmatchcase(f"{api_id}/", f"{source.split(':', 5)[-1].split('/')[0]}/") for source in sources)
    )

"""Evaluation of IAM policies: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Pure functions. An unknown condition never lets something through: it fails to match in an Allow and matches in a Deny.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

Context = Mapping[str, Sequence[str]]


@functools.lru_cache(maxsize=4096)
def _pattern(text: str, *, ignore_case: bool) -> re.Pattern[str]:
    # IAM knows * and ? only; fnmatch's brackets have to stay literal.
    escaped = re.sub(r"\[", "[[]", text)
    return re.compile(fnmatch.translate(escaped), re.IGNORECASE if ignore_case else 0)


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    return _pattern(pattern, ignore_case=ignore_case).match(value) is not None


def _arn_matches(pattern: str, value: str) -> bool:
    """ArnLike: the six parts of an ARN are compared one by one."""
    ours, theirs = pattern.split(":", 5), value.split(":", 5)
    return len(ours) == len(theirs) and all(matches(a, b) for a, b in zip(ours, theirs, strict=True))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _number(test: Callable[[Decimal, Decimal], bool]) -> Callable[[str, str], bool]:
    def compare(wanted: str, actual: str) -> bool:
        try:
            return test(Decimal(actual), Decimal(wanted))
        except InvalidOperation:
            return False

    return compare


def _in_network(wanted: str, actual: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


# Each compares one wanted value with one actual value.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "NumericEquals": _number(lambda actual, wanted: actual == wanted),
    "NumericLessThan": _number(lambda actual, wanted: actual < wanted),
    "NumericLessThanEquals": _number(lambda actual, wanted: actual <= wanted),
    "NumericGreaterThan": _number(lambda actual, wanted: actual > wanted),
    "NumericGreaterThanEquals": _number(lambda actual, wanted: actual >= wanted),
    "IpAddress": _in_network,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "NotIpAddress": "IpAddress",
}


def _condition_holds(operator: str, key: str, wanted: list[str], context: Context) -> bool | None:
    """Whether one condition holds; None when this evaluator does not know the operator."""
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    actual = context.get(key.lower())
    if plain == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    negated = plain in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(plain, plain))
    if compare is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return None
    if actual is None:
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier == "")

    def one(value: str) -> bool:
        return any(compare(want, value) for want in wanted) != negated

    if quantifier == "ForAllValues":
        return all(one(value) for value in actual)
    if quantifier == "ForAnyValue":
        return any(one(value) for value in actual)
    return len(actual) == 1 and one(actual[0])


def _conditions_hold(statement: Mapping[str, Any], context: Context) -> bool:
    deny = statement.get("Effect") == "Deny"
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, wanted in keys.items():
            values = [str(w).lower() if isinstance(w, bool) else str(w) for w in _as_list(wanted)]
            holds = _condition_holds(operator, key, values, context)
            if holds is None:
                holds = deny
            if not holds:
                return False
    return True


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    if "Action" in statement:
        concerned = any(matches(a, action, ignore_case=True) for a in _as_list(statement["Action"]))
    else:
        concerned = not any(matches(a, action, ignore_case=True) for a in _as_list(statement.get("NotAction", [])))
    if not concerned:
        return False
    if "Resource" in statement:
        concerned = any(matches(r, resource) for r in _as_list(statement["Resource"]))
    else:
        concerned = not any(matches(r, resource) for r in _as_list(statement.get("NotResource", [])))
    return concerned and _conditions_hold(statement, context)


@functools.lru_cache(maxsize=1024)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(_as_list(json.loads(document).get("Statement", [])))


def decide(documents: Sequence[str], action: str, resource: str, context: Context) -> str:
    """ "allow", "deny" (explicitly) or "implicit" (nothing allows it). Context keys are lower-case."""
    decision = "implicit"
    for document in documents:
        for statement in _statements(document):
            if _applies(statement, action, resource, context):
                if statement.get("Effect") == "Deny":
                    return "deny"
                decision = "allow"
    return decision


def is_allowed(documents: Sequence[str], boundary: str | None, action: str, resource: str, context: Context) -> str:
    """As `decide`, within a permissions boundary."""
    decision = decide(documents, action, resource, context)
    if decision == "allow" and boundary is not None:
        return decide([boundary], action, resource, context)
    return decision

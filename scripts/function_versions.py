"""A function's published versions and the aliases on them, as Lambda tells."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from scripts import aws


def published(function_name: str) -> dict[str, dict[str, Any]]:
    """Each version's configuration by its number, the newest first."""
    pages = aws.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=function_name)
    found = {version["Version"]: version for page in pages for version in page["Versions"]}
    return {number: found[number] for number in sorted(found.keys() - {"$LATEST"}, key=int, reverse=True)}


def aliased(function_name: str) -> dict[str, list[str]]:
    """The aliases that send calls to a version, by version: as their own, or as a share of the calls."""
    pages = aws.client("lambda").get_paginator("list_aliases").paginate(FunctionName=function_name)
    found: dict[str, list[str]] = {}
    for alias in (alias for page in pages for alias in page["Aliases"]):
        for version in _versions_of(alias):
            found.setdefault(version, []).append(alias["Name"])
    return found


def _versions_of(alias: dict[str, Any]) -> Iterator[str]:
    yield alias["FunctionVersion"]
    yield from weights(alias)


def weights(alias: dict[str, Any]) -> dict[str, float]:
    """Versions other than its own that an alias sends a share of the calls to."""
    return dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})


def age(version: dict[str, Any]) -> str:
    """How long ago it was published, in the largest unit that fits."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(version["LastModified"])).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // length)) > 0:
            return f"{count} {unit}{'' if count == 1 else 's'} old"
    return "just published"

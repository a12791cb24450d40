"""Functions: there, able to run, with the code, version and settings that were applied."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from scripts import aws, function_versions
from scripts.diagnosis import fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import WARNING, Finding, finding

# What is compared: in the state, in Lambda's answer, and in words.
_SETTINGS = (
    ("handler", "Handler", "handler"),
    ("runtime", "Runtime", "runtime"),
    ("memory_size", "MemorySize", "memory in MB"),
    ("timeout", "Timeout", "timeout in seconds"),
    ("role", "Role", "role"),
)


def look(examined: Examined, system: str) -> Iterator[Finding]:
    """Of one system's function."""
    made, environment = examined.state.systems[system], examined.environment
    name, alias = made["function_name"], made["alias_name"]
    latest = _configuration(name)
    if latest is None:
        yield finding(
            "function-missing",
            name,
            f"there is no function {name}",
            "somebody deleted it outside Terraform",
            fixes.apply(environment),
            system=system,
        )
        return
    yield from _readiness(examined, system, latest)
    yield from _concurrency(examined, system)
    live = _configuration(name, alias)
    if live is None:
        yield finding(
            "alias-missing",
            f"{name}:{alias}",
            f"function {name} has no alias {alias}",
            "somebody deleted it outside Terraform; the API and all callers go through it",
            fixes.apply(environment),
            system=system,
        )
        return
    yield from _code(examined, system, latest, live)
    yield from _settings(examined, system, live)


def _configuration(name: str, qualifier: str = "") -> dict[str, Any] | None:
    which = {"Qualifier": qualifier} if qualifier else {}
    try:
        found: dict[str, Any] = aws.client("lambda").get_function_configuration(FunctionName=name, **which)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return found


def _readiness(examined: Examined, system: str, latest: Mapping[str, Any]) -> Iterator[Finding]:
    name, environment = latest["FunctionName"], examined.environment
    state, update = latest.get("State", "Active"), latest.get("LastUpdateStatus", "Successful")
    if state not in ("Active", "Pending"):
        reason = latest.get("StateReason") or latest.get("StateReasonCode") or "Lambda gives no reason"
        wake = fixes.aws(environment, f"lambda invoke --function-name {name} --invocation-type DryRun /dev/null")
        yield finding(
            "function-not-ready",
            name,
            f"function {name} is {state}",
            f"{reason}"
            + (
                "; Lambda took its resources away after weeks without a call, and a call brings them back"
                * (state == "Inactive")
            ),
            wake if state == "Inactive" else fixes.apply(environment),
            system=system,
        )
    elif update == "Failed":
        reason = latest.get("LastUpdateStatusReason") or latest.get("LastUpdateStatusReasonCode") or "no reason given"
        yield finding(
            "function-not-ready",
            name,
            f"the last change of function {name} failed",
            f"{reason}; it runs as before that change",
            fixes.apply(environment),
            system=system,
        )


def _concurrency(examined: Examined, system: str) -> Iterator[Finding]:
    name, environment = examined.state.systems[system]["function_name"], examined.environment
    reserved = aws.client("lambda").get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    applied = examined.function(system).get("reserved_concurrent_executions", -1)
    if reserved == 0:
        by_configuration = applied == 0
        yield finding(
            "function-stopped",
            name,
            f"function {name} may run 0 times at once",
            f"functions.{system}.reserved_concurrency is 0"
            if by_configuration
            else "somebody stopped it by hand, for example against a flood of calls",
            fixes.edit_and_apply(environment) if by_configuration else _concurrency_back(examined, name, applied),
            system=system,
        )
    elif (reserved if reserved is not None else -1) != applied:
        yield finding(
            "function-settings-differ",
            name,
            f"function {name}: reserved concurrency is {reserved or 'none'}, "
            f"applied was {'none' if applied == -1 else applied}",
            "somebody changed it outside Terraform",
            fixes.apply(environment),
            system=system,
        )


def _concurrency_back(examined: Examined, name: str, applied: int) -> str:
    if applied == -1:
        return fixes.aws(examined.environment, f"lambda delete-function-concurrency --function-name {name}")
    return fixes.aws(
        examined.environment,
        f"lambda put-function-concurrency --function-name {name} --reserved-concurrent-executions {applied}",
    )


def _code(examined: Examined, system: str, latest: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Finding]:
    made, environment = examined.state.systems[system], examined.environment
    name, sha = made["function_name"], made["code_sha256"]
    version = str(examined.alias(system).get("function_version") or made["function_version"])
    mark = examined.marks.rollbacks.get(system) if examined.marks.holds(system, sha) else None
    expected, expected_sha = (mark.to_version, mark.to_code_sha256) if mark else (version, sha)
    weights = function_versions.weights(aws.client("lambda").get_alias(FunctionName=name, Name=made["alias_name"]))
    if mark:
        yield finding(
            "rolled-back",
            name,
            f"callers get version {mark.to_version} instead of {mark.from_version} since {mark.since} ({mark.by})",
            "`make rollback` moved them; new code lifts that, changed settings don't",
            f"{fixes.make(environment, 'rollback')} SYSTEM={system} TO=latest",
            system=system,
        )
    if live["Version"] != expected or weights:
        shares = "".join(f", {share:.0%} of them {other}" for other, share in sorted(weights.items()))
        yield finding(
            "alias-moved",
            f"{name}:{made['alias_name']}",
            f"callers of {name} get version {live['Version']}{shares}; applied is {expected}",
            "somebody moved the alias outside Terraform and without `make rollback`"
            + ("" if live["CodeSha256"] == expected_sha else "; that version has other code"),
            fixes.apply(environment),
            system=system,
        )
    elif live["CodeSha256"] != expected_sha:
        yield _replaced(examined, system, live, "callers get")
    if latest["CodeSha256"] != sha and live["CodeSha256"] == expected_sha:
        yield _replaced(examined, system, latest, "nobody gets it yet, but the next version would be", WARNING)
    built = examined.built.get(system, {}).get("source_code_hash")
    if built and built != sha:
        yield finding(
            "code-not-applied",
            name,
            f"this checkout builds code {built[:12]}…, applied is {sha[:12]}…",
            "another commit was applied, or what is changed here is not applied yet",
            fixes.make(environment, "plan"),
            system=system,
        )


def _replaced(examined: Examined, system: str, found: Mapping[str, Any], who: str, severity: str = "") -> Finding:
    made = examined.state.systems[system]
    return finding(
        "code-replaced",
        made["function_name"],
        f"{made['function_name']} has code {found['CodeSha256'][:12]}…, applied was {made['code_sha256'][:12]}…: {who} "
        "other code",
        "somebody uploaded code outside Terraform, which does not see it; an apply puts it back",
        fixes.apply(examined.environment),
        system=system,
        severity=severity,
    )


def _settings(examined: Examined, system: str, live: Mapping[str, Any]) -> Iterator[Finding]:
    made, environment, applied = examined.state.systems[system], examined.environment, examined.function(system)
    name = made["function_name"]
    variables = dict(live.get("Environment", {}).get("Variables", {}))
    wanted: dict[str, str] = next((each["variables"] for each in applied.get("environment") or []), {}) or {}
    if made["persistence"] == "memory":
        yield finding(
            "persistence-is-memory",
            name,
            f"{system} keeps nothing: every cold start begins empty",
            f'persistence = {{ {system} = "memory" }} says so; the tables with their data are untouched',
            f"{fixes.make(environment, 'back-to-dynamodb')} SYSTEM={system}",
            system=system,
        )
    if not applied or examined.marks.holds(system, made["code_sha256"]):
        return  # a version keeps the settings that it was published with
    other = {key for key in wanted.keys() | variables.keys() if wanted.get(key) != variables.get(key)}
    if "PERSISTENCE" in other:
        other.remove("PERSISTENCE")
        yield finding(
            "not-persisting",
            name,
            f"{name} runs with PERSISTENCE={variables.get('PERSISTENCE', '')!r}, "
            f"applied was {wanted.get('PERSISTENCE', '')!r}",
            "somebody changed the function's environment outside Terraform: what is written does not outlive the "
            "execution environment that took it",
            fixes.apply(environment),
            system=system,
        )
    for key in sorted(key for key in other if key.endswith(("_TABLE_NAME", "_INDEX_NAME"))):
        other.remove(key)
        yield finding(
            "function-uses-other-table",
            name,
            f"{name} is told {key}={variables.get(key, '')!r}, applied was {wanted.get(key, '')!r}",
            "somebody changed the function's environment outside Terraform: it reads and writes elsewhere, or nowhere",
            fixes.apply(environment),
            system=system,
        )
    different = [
        f"{words} is {live.get(theirs)}, applied was {applied[ours]}"
        for ours, theirs, words in _SETTINGS
        if applied.get(ours) is not None and live.get(theirs) != applied[ours]
    ]
    if other:  # their values may be nobody's business
        different.append(f"other values of {', '.join(sorted(other))}")
    if different:
        yield finding(
            "function-settings-differ",
            name,
            f"function {name}: {'; '.join(different)}",
            "somebody changed it outside Terraform",
            fixes.apply(environment),
            system=system,
        )

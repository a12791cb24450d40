"""Compares what is there with the configuration: `python -m scripts.drift --env NAME`.

A plan finds out. What it would change is drift; what differs from the state and would stay is AWS's own doing (capacity
that a scaler moved, attributes that AWS computes), or somebody's in a setting that the configuration leaves open.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from scripts import github_api, rendering, stack
from scripts.console import EXIT_FAILED, CommandError, one_line, out, run
from scripts.stack import Stack

OUTSIDE, NOT_APPLIED = "changed outside Terraform", "configuration not applied yet"
NEXT_STEPS = {
    OUTSIDE: "`make apply` puts it back; to keep it, write it into the configuration. CloudTrail knows who did it.",
    NOT_APPLIED: "Nobody has applied what the configuration says: `make plan`, `make apply`.",
}
UNKNOWN, SENSITIVE, ABSENT = "(known after apply)", "(sensitive)", "(none)"
_LONGEST = 80


class Finding(NamedTuple):
    """One attribute ("" for the whole resource): what was applied, what is there, what the configuration says."""

    address: str
    attribute: str
    applied: str
    actual: str
    configured: str
    reason: str


class Managed(NamedTuple):
    """An attribute that differs from the state and that a plan leaves as it is."""

    address: str
    attribute: str
    applied: str
    actual: str


class Drift(NamedTuple):
    findings: list[Finding]
    managed: list[Managed]


def classify(plan: Mapping[str, Any], rolled_back: Mapping[str, str]) -> Drift:
    """Of `terraform show -json` of a plan. `rolled_back`: names of functions, and the version that callers get."""
    drifted = {change["address"]: change["change"] for change in plan.get("resource_drift", [])}
    found: list[Finding] = []
    for resource in plan.get("resource_changes", []):
        if resource["mode"] == "managed":
            found += _findings(resource["address"], resource["change"], drifted.get(resource["address"]))
    if not found:
        found += _outputs(plan.get("output_changes", {}))
    explained = {(finding.address, finding.attribute) for finding in found}
    managed = [
        Managed(address, attribute, *values)
        for address, change in drifted.items()
        if not _is_known(change, rolled_back)
        for attribute, values in _differences(change).items()
        if not {(address, attribute), (address, "")} & explained
    ]
    return Drift(found, managed)


def _findings(address: str, change: Mapping[str, Any], drift: Mapping[str, Any] | None) -> Iterator[Finding]:
    actions = change["actions"]
    if actions == ["read"] or (actions == ["no-op"] and not change.get("importing")):
        return
    if change["before"] is None:
        gone = drift is not None and drift["actions"] == ["delete"]
        yield Finding(address, "", "there" if gone else ABSENT, ABSENT, "there", OUTSIDE if gone else NOT_APPLIED)
    elif change["after"] is None or actions == ["no-op"]:
        configured = "in the state" if change.get("importing") else "/".join(actions)
        yield Finding(address, "", "there", "there", configured, NOT_APPLIED)
    else:
        applied = _differences(drift) if drift else {}
        for attribute, (actual, configured) in _differences(change).items():
            if attribute in applied:
                yield Finding(address, attribute, applied[attribute][0], actual, configured, OUTSIDE)
            else:
                yield Finding(address, attribute, actual, actual, configured, NOT_APPLIED)


def _outputs(changes: Mapping[str, Any]) -> Iterator[Finding]:
    """Alone: otherwise they follow from what is changed."""
    for name, change in changes.items():
        if change["actions"] != ["no-op"]:
            yield Finding(f"output.{name}", "", "as before", "as before", "/".join(change["actions"]), NOT_APPLIED)


class _Leaf(NamedTuple):
    value: Any
    shown: str


_ABSENT, _UNKNOWN = _Leaf(None, ABSENT), _Leaf(object(), UNKNOWN)


def _differences(change: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Attribute to its value before and after, as text. What only follows from another change is left out."""
    if change["before"] is None or change["after"] is None:
        return {"": ("there" if change["before"] else ABSENT, "there" if change["after"] else ABSENT)}
    before = dict(_leaves(change["before"], change["before_sensitive"], False))
    after = dict(_leaves(change["after"], change["after_sensitive"], change.get("after_unknown", False)))
    pairs = {
        path: (before.get(path, _ABSENT), after.get(path, _ABSENT)) for path in sorted(before.keys() | after.keys())
    }
    differing = {path: (was.shown, is_.shown) for path, (was, is_) in pairs.items() if was.value != is_.value}
    own_tags = any(path.startswith("tags.") for path in differing)
    direct = {
        path: shown
        for path, shown in differing.items()
        if shown[1] != UNKNOWN and not (own_tags and path.startswith("tags_all."))
    }
    return direct or differing


def _leaves(value: Any, sensitive: Any, unknown: Any, path: str = "") -> Iterator[tuple[str, _Leaf]]:
    """Values by dotted path. A block that stands once is walked into; other lists are one value: JSON has those that
    are sets in any order."""
    if unknown is True:
        yield path, _UNKNOWN
    elif isinstance(value, dict):
        later = {name: state for name, state in _mapping(unknown).items() if state is True}
        for name in value.keys() | later.keys():
            inner = f"{path}.{name}" if path else name
            yield from _leaves(value.get(name), _part(sensitive, name), _part(unknown, name), inner)
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        yield from _leaves(value[0], _part(sensitive, 0), _part(unknown, 0), path)
    elif value not in (None, [], {}):
        yield path, _Leaf(value, SENSITIVE if _any(sensitive) else _text(value))


def _mapping(state: Any) -> Mapping[str, Any]:
    return state if isinstance(state, dict) else {}


def _part(state: Any, key: str | int) -> Any:
    """Terraform marks what is sensitive or unknown by `true` in the value's place, or above it."""
    if isinstance(state, dict | list):
        try:
            return state[key]  # type: ignore[index]
        except LookupError:
            return False
    return state


def _any(state: Any) -> bool:
    if isinstance(state, dict | list):
        return any(_any(part) for part in (state.values() if isinstance(state, dict) else state))
    return bool(state)


def _text(value: Any) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_known(change: Mapping[str, Any], rolled_back: Mapping[str, str]) -> bool:
    """Whether this is the alias that a rollback moved."""
    after = change["after"] or {}
    version = rolled_back.get(after.get("function_name", ""))
    return version is not None and after.get("function_version") == version


def main(
    env: Annotated[str, typer.Option(help="The environment to compare.")],
    json_output: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON, all details included.")
    ] = False,
) -> None:
    """Tell what is not as the configuration says, apart from what AWS itself changes. Changes nothing."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        outputs = stack.applied_outputs(opened)
        drift = _find(opened, outputs)
        report = markdown(opened, drift)
        rendering.write(opened.environment.build_dir / "drift.md", report)
    github_api.add_to_summary(report)
    if json_output:
        found = {kind: [one._asdict() for one in entries] for kind, entries in drift._asdict().items()}
        known = stack.rollback_notes(opened)
        out.print_json(data={"environment": env, "clean": not drift.findings, **found, "known": known})
    else:
        out.print(report.strip(), markup=False)
    if drift.findings:
        raise CommandError(f"{env} has drifted: {_counts(drift)}.", exit_code=EXIT_FAILED)


def _find(opened: Stack, outputs: Mapping[str, Any]) -> Drift:
    """Plans, with a refresh, into a file that is not kept."""
    replaced = stack.replaced_code(opened)
    try:
        stack.plan(opened, "compare with what is there")
        plan = opened.terraform.show(opened.plan_file)
    finally:
        opened.plan_file.unlink(missing_ok=True)
    applied = outputs["verification"]["systems"]
    names = {applied[system]["function_name"]: to for system, to in opened.pinned_versions.items() if system in applied}
    drift = classify(plan, names)
    code = [Finding(name, "code", "as built", "other code", "as built", OUTSIDE) for name in sorted(replaced)]
    return drift._replace(findings=code + drift.findings)


def _counts(drift: Drift) -> str:
    counts = {reason: sum(finding.reason == reason for finding in drift.findings) for reason in NEXT_STEPS}
    return ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)


def markdown(opened: Stack, drift: Drift) -> str:
    lines = [f"## Drift of {opened.environment.name}: {_counts(drift) or 'none'}", "", opened.place, ""]
    for reason, next_step in NEXT_STEPS.items():
        findings = [finding for finding in drift.findings if finding.reason == reason]
        if findings:
            lines += [f"### {reason.capitalize()}", "", next_step, ""]
            lines += ["| resource | attribute | was applied | is | configured |", "|---|---|---|---|---|"]
            lines += [f"| {' | '.join(_cell(part) for part in finding[:5])} |" for finding in findings]
            lines.append("")
    if notes := stack.rollback_notes(opened):
        lines += ["### Known", "", *(f"- {note}" for note in notes), ""]
    if drift.managed:
        resources = len({one.address for one in drift.managed})
        differ = (
            f"{len(drift.managed)} attributes of {resources} resources differ from the state, and a plan leaves them"
        )
        lines += [f"Beside that, {differ}: AWS manages them. `make drift JSON=1` lists them.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`" if text else ""


if __name__ == "__main__":
    run(main)

"""Holds every locked package against the known advisories: `python -m scripts.audit`.

pip-audit reads the lock files in requirements/ and asks PyPI, or an OSV service. It passes over packages that PyPI does
not know, and ends with 0 all the same, so behind a mirror it finds nothing: here that is no pass.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from scripts import paths
from scripts.console import EXIT_FAILED, CommandError, err, one_line, out, run, step

LOCKS = paths.ROOT / "requirements"
# Advisories that are known and accepted, with the reason: a table of the same names in pyproject.toml.
ACCEPTED = "[tool.audit.accepted]"


class Vulnerability(NamedTuple):
    package: str
    version: str
    advisories: tuple[str, ...]  # the advisory's ids, its own first
    fixed_in: tuple[str, ...]


class Audit(NamedTuple):
    packages: set[tuple[str, str]]  # name and version
    vulnerabilities: list[Vulnerability]
    unknown: dict[str, str]  # why a package could not be held against anything, by its name


def main(
    advisories: Annotated[str, typer.Option(help="An OSV service to ask instead of PyPI: URL of its /v1/query.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Exit code 1 when a locked package has a known vulnerability, 2 when not all could be held against advisories."""
    accepted = accepted_advisories()
    found = Audit(set(), [], {})
    for lock in sorted(LOCKS.glob("*.txt")):
        with step(f"hold {lock.relative_to(paths.ROOT)} against {advisories or 'the advisories on PyPI'}"):
            add(found, _answer(lock, advisories))
    standing = [one for one in found.vulnerabilities if not accepted.keys() & set(one.advisories)]
    if as_json:
        result = {
            "packages": len(found.packages),
            "vulnerabilities": [one._asdict() for one in standing],
            "accepted": [one._asdict() for one in found.vulnerabilities if one not in standing],
            "unknown": found.unknown,
        }
        print(json.dumps(result))
    else:
        _show(standing)
        out.print(f"{len(found.packages)} locked packages held against advisories, {len(standing)} vulnerabilities")
    needless = accepted.keys() - {advisory for one in found.vulnerabilities for advisory in one.advisories}
    if needless and not found.unknown:
        err.print(f"{ACCEPTED} names what no locked package has: {', '.join(sorted(needless))}", markup=False)
    if standing:
        raise CommandError(
            f"{len(standing)} known vulnerabilities in locked packages, the first in {standing[0].package} "
            f"{standing[0].version}: {standing[0].advisories[0]}.",
            f"Raise the version and `make lock`, or say under {ACCEPTED} in pyproject.toml why it does no harm here.",
            EXIT_FAILED,
        )
    if found.unknown:
        name, reason = next(iter(sorted(found.unknown.items())))
        raise CommandError(
            f"{len(found.unknown)} packages could not be held against any advisory, among them {name}: {reason}",
            "Run it where pypi.org answers itself, no mirror of it, or name an OSV service: ADVISORIES=<url>.",
        )


def accepted_advisories() -> Mapping[str, str]:
    """Reasons by advisory."""
    stated = tomllib.loads((paths.ROOT / "pyproject.toml").read_text()).get("tool", {}).get("audit", {})
    accepted: dict[str, str] = stated.get("accepted", {})
    if bare := [advisory for advisory, reason in accepted.items() if len(str(reason).split()) < 3]:
        raise CommandError(f"{ACCEPTED} does not say why {bare[0]} is accepted.", "State the reason, in some words.")
    return accepted


def add(audit: Audit, answer: Mapping[str, Any]) -> None:
    """What pip-audit tells of one lock file, which may name what another one names, too."""
    for dependency in answer["dependencies"]:
        name = dependency["name"]
        if reason := dependency.get("skip_reason"):
            audit.unknown[name] = one_line(reason)
            continue
        audit.packages.add((name, dependency["version"]))
        for each in dependency["vulns"]:
            ids = (each["id"], *(alias for alias in each.get("aliases", ()) if alias != each["id"]))
            one = Vulnerability(name, dependency["version"], ids, tuple(each.get("fix_versions") or ()))
            if one not in audit.vulnerabilities:
                audit.vulnerabilities.append(one)


def _answer(lock: Path, advisories: str) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off"),
        *(("--vulnerability-service", "osv", "--osv-url", advisories) if advisories else ()),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        said = [line for line in ended.stderr.splitlines() if line.strip()] or ["nothing"]
        raise CommandError(
            f"{lock.name} could not be held against any advisory; pip-audit says: {one_line(said[-1])[-300:]}",
            "Run it where pypi.org answers, or name an OSV service: ADVISORIES=<url>.",
        ) from None
    if not answer.get("dependencies"):
        raise CommandError(f"pip-audit finds no package in {lock.name}.", "Make the lock files anew: make lock")
    return dict(answer)


def _show(vulnerabilities: list[Vulnerability]) -> None:
    if not vulnerabilities:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("package", "version", "advisory", "fixed in"):
        table.add_column(title)
    for one in vulnerabilities:
        table.add_row(one.package, one.version, " ".join(one.advisories), " ".join(one.fixed_in) or "no version yet")
    out.print(table)


if __name__ == "__main__":
    run(main)

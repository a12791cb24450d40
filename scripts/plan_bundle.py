"""The sealed plan bundle: one file with all that an apply needs, bound to what it was planned from.

A zip without compression whose bytes depend on its members alone. `bundle.json` tells the SHA-256 of every other member
and what must still be so when the plan is applied; `seal` is the SHA-256 of `bundle.json`. A file that is not byte for
byte what its members make is refused, so no byte can be changed unnoticed. Whoever exchanges a bundle as a whole is
found by the digest of the file, which goes another way (the pull request's comment).
"""

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scripts import build_lambdas, environments, paths
from scripts.console import CommandError
from scripts.environments import Environment

FILE = "plan.bundle"
FORMAT = 1
PLAN, PLAN_JSON, PLAN_TEXT = "terraform.tfplan", "plan.json", "plan.txt"
VARIABLES, LOCK_FILE = "terraform.tfvars", ".terraform.lock.hcl"
LAMBDAS = "lambdas/"
_FACTS, _SEAL = "bundle.json", "seal"
_NAME = re.compile(rf"(?:{LAMBDAS})?[A-Za-z0-9_.-]+")
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_SHOWN_DIFFERENCES = 3
# What zipfile and json raise on damaged files
_UNREADABLE = (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, EOFError, TypeError, OSError, struct.error)


class Bundle(NamedTuple):
    """`digest` is the SHA-256 of the file."""

    facts: dict[str, Any]
    members: dict[str, bytes]
    digest: str


def seal(facts: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """The bundle's bytes. `facts` is JSON; the members' digests are added to it."""
    digests = {name: _sha256(content) for name, content in sorted(members.items())}
    stated = (json.dumps({"format": FORMAT, **facts, "members": digests}, indent=2, sort_keys=True) + "\n").encode()
    return _packed({**members, _FACTS: stated, _SEAL: _sha256(stated).encode()})


def unseal(content: bytes, digest: str = "") -> Bundle:
    """The bundle that the bytes hold. Raises CommandError unless they are exactly what was sealed.

    `digest` is the SHA-256 that the file must have, "" where nobody told one.
    """
    actual = _sha256(content)
    if digest and digest.lower().removeprefix("sha256:") != actual:
        raise _refused(f"this bundle's digest is {actual}, not {digest}: it is not the plan that was reviewed")
    try:
        members = _unpacked(content)
        facts = json.loads(members.pop(_FACTS))
        found = facts["format"]
    except _UNREADABLE as error:
        raise _refused("this file is no plan bundle, or was damaged") from error
    if found != FORMAT:
        raise _refused(f"this bundle has format {found!r}, and this checkout reads format {FORMAT}")
    stated = facts.get("members")
    kept = {name: member for name, member in members.items() if name != _SEAL}
    if stated != {name: _sha256(member) for name, member in kept.items()} or seal(_own(facts), kept) != content:
        raise _refused("this bundle was changed after it was sealed")
    return Bundle(facts, kept, actual)


def read(file: Path, digest: str = "") -> Bundle:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CommandError(
            f"there is no bundle at {environments.shown(file)}: {error.strerror}; nothing was applied.",
            "Name the file that `make plan` or `make fetch-bundle` wrote.",
        ) from error
    return unseal(content, digest)


def write(file: Path, content: bytes) -> str:
    """Whole or not at all, for its owner alone: a plan holds values of the state. Returns the file's SHA-256."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    unfinished.replace(file)
    return _sha256(content)


def commit_facts() -> dict[str, Any]:
    """The commit (None outside git), and whether the tree differs from it."""
    commit = _git("rev-parse", "HEAD") if _git("ls-files", "terraform/versions.tf") else None
    changed = _git("status", "--porcelain", "--", "terraform", "lambda_src", "scripts") if commit else ""
    return {"commit": commit or None, "dirty": bool(changed)}


def source_facts() -> dict[str, Any]:
    """The commit, and the sources that plans are made of."""
    return {
        **commit_facts(),
        "sources": {
            path.relative_to(paths.ROOT).as_posix(): _sha256(path.read_bytes()) for path in sorted(_source_files())
        },
    }


def lock_file() -> bytes:
    return (paths.TERRAFORM_ROOT / LOCK_FILE).read_bytes()


def functions() -> dict[str, bytes]:
    """The built zips and their manifest, as members."""
    manifest = (paths.LAMBDA_BUILD / build_lambdas.MANIFEST).read_bytes()
    zips = [entry["zip"] for entry in json.loads(manifest)["functions"].values()]
    return {f"{LAMBDAS}{name}": (paths.LAMBDA_BUILD / name).read_bytes() for name in (build_lambdas.MANIFEST, *zips)}


def functions_of(bundle: Bundle) -> dict[str, Any]:
    """The bundle's functions by system."""
    parsed: dict[str, Any] = json.loads(bundle.members[f"{LAMBDAS}{build_lambdas.MANIFEST}"])["functions"]
    return parsed


def unpack(bundle: Bundle, plan_file: Path) -> None:
    """Puts plan and zips where Terraform looks for them: the plan names the zips relative to its own folder."""
    paths.LAMBDA_BUILD.mkdir(parents=True, exist_ok=True)
    for name, content in bundle.members.items():
        if name.startswith(LAMBDAS):
            write(paths.LAMBDA_BUILD / name.removeprefix(LAMBDAS), content)
    write(plan_file, bundle.members[PLAN])


def require_sources(bundle: Bundle, environment: Environment) -> None:
    """Raises CommandError unless the bundle is of this environment and was planned from what is checked out here."""
    facts, here = bundle.facts, source_facts()
    if facts["environment"] != environment.name:
        raise _refused(
            f"this bundle plans environment {facts['environment']!r}, not {environment.name!r}",
            f"Run `make apply ENV={facts['environment']}`, or plan {environment.name!r}.",
        )
    again = f"or run `make plan ENV={environment.name}` again."
    if facts["commit"] != here["commit"]:
        planned = facts["commit"] or "no commit"
        raise _refused(
            f"this bundle was planned from {planned}, and {here['commit'] or 'no commit'} is checked out",
            f"Check out {planned}, {again}" if facts["commit"] else f"Apply it where it was made, {again}",
        )
    if changed := _differing(facts["sources"], here["sources"]):
        raise _refused(f"{changed} changed since this plan was made", f"Put that back, {again}")


def require_place(bundle: Bundle, now: Mapping[str, Any], variables: bytes) -> None:
    """Raises CommandError unless account, region, Terraform, its lock file and the variables are those of the plan."""
    facts = bundle.facts
    again = f"Run `make plan ENV={facts['environment']}` again."
    for name, title in (
        ("account_id", "account"),
        ("region", "region"),
        ("state_bucket", "state bucket"),
        ("state_key", "state key"),
        ("terraform_version", "Terraform"),
    ):
        if facts[name] != now[name]:
            raise _refused(f"this bundle was planned for {title} {facts[name]}, and this is {now[name]}", again)
    if bundle.members[LOCK_FILE] != lock_file():
        raise _refused(f"terraform/{LOCK_FILE} names other providers than this bundle was planned with", again)
    if bundle.members[VARIABLES] != variables:
        changed = _differing(_settings(bundle.members[VARIABLES]), _settings(variables))
        raise _refused(f"variables of {facts['environment']} have changed since this plan was made: {changed}", again)


def require_state(bundle: Bundle, lineage: str | None, serial: int) -> None:
    facts = bundle.facts
    again = f"Run `make plan ENV={facts['environment']}` again."
    if facts["state_lineage"] != lineage:
        raise _refused("the state is not the one that this plan was made of", again)
    if facts["state_serial"] != serial:
        raise _refused(
            f"the state has changed since this plan was made: it had serial {facts['state_serial']}, now {serial}",
            again,
        )


def _own(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in ("format", "members")}


def _packed(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.create_system, info.external_attr = 3, 0o100600 << 16
            archive.writestr(info, members[name])
    return packed.getvalue()


def _unpacked(content: bytes) -> dict[str, bytes]:
    """Every member; nothing is inflated, and no name leads out of its folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(
            member.compress_type != zipfile.ZIP_STORED
            or member.file_size > len(content)
            or not _NAME.fullmatch(member.filename)
            or member.filename.endswith("..")
            for member in members
        ):
            raise zipfile.BadZipFile
        return {member.filename: archive.read(member) for member in members}


def _source_files() -> Iterator[Path]:
    """What Terraform and the functions are made of; an environment's own file shows in the rendered variables."""
    for folder in (paths.TERRAFORM_ROOT, paths.LAMBDA_SOURCE):
        for directory, names, files in os.walk(folder):
            names[:] = [name for name in names if name not in ("__pycache__", ".terraform", "tests", "environments")]
            for name in files:
                path = Path(directory) / name
                if folder == paths.LAMBDA_SOURCE or name.endswith((".tf", ".tf.json")):
                    yield path


def _git(*command: str) -> str:
    """What git says; "" where there is no git, no repository or no commit.

    Whoever owns the checkout: what git would run on its owner's behalf is switched off.
    """
    try:
        answer = subprocess.run(
            ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *command],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _settings(rendered: bytes) -> dict[str, str]:
    """The rendered variables by name: each begins at the start of a line."""
    parts = re.split(r"^(\w+) = ", rendered.decode(errors="replace"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    more = f" and {len(names) - _SHOWN_DIFFERENCES} more" if len(names) > _SHOWN_DIFFERENCES else ""
    return ", ".join(names[:_SHOWN_DIFFERENCES]) + more


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _refused(message: str, next_step: str = "Get the bundle again, or run `make plan` again.") -> CommandError:
    return CommandError(f"{message}; nothing was applied.", next_step)

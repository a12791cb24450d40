"""Plays workflows as GitHub would: every job in a clone of its own, with nothing but what it was handed.

Conditions, matrices, outputs and artifacts are the workflows' own. Only actions of others are played by this file.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from scripts import paths
from tests.pipeline.fake_github import REPOSITORY, TOKEN, FakeGitHub
from tests.pipeline.github_token import sign_in
from tests.pipeline.workflows import workflow

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"
STEP_SECONDS = 600
_LITERAL = re.compile(r"('(?:[^']|'')*')")
_EACH = re.compile(r"fromJSON\(([^()]*)\)\.\*\.(\w+)")
_NAME = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*(?![\w(-])")


class Runner:
    """`aws` is what a step has in its environment once its job has signed in. `log` records everything."""

    def __init__(self, origin: Path, folder: Path, aws: Mapping[str, str], github: FakeGitHub, log: Path) -> None:
        self.origin, self.folder, self.aws, self.github, self.log = origin, folder, aws, github, log
        self.played: list[tuple[str, str, str]] = []  # job, command, outcome
        self._clones = 0
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def note(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(text.rstrip() + "\n")

    def play(self, name: str, event: Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> str:
        """Plays a workflow; returns its conclusion. `event` is the context `github`."""
        run = self.github.run(event["head_sha"], status="in_progress") if "head_sha" in event else 0
        github = {"repository": REPOSITORY, "token": TOKEN, **event}
        context = {"github": github, "inputs": dict(inputs or {}), "vars": {}}
        conclusion = self._play(name, context, {"run": run or self.github.run(event["sha"], event="push")})
        if run:
            (stored,) = [each for each in self.github.runs if each["id"] == run]
            stored.update(status="completed", conclusion=conclusion)
        return conclusion

    def _play(self, name: str, context: dict[str, Any], place: dict[str, Any]) -> str:
        done: dict[str, dict[str, Any]] = {}
        for job, settings in workflow(name)["jobs"].items():
            wanted = settings.get("needs", [])
            needs = {need: done[need] for need in ([wanted] if isinstance(wanted, str) else wanted)}
            seen = {**context, "needs": needs}
            results = [need["result"] for need in needs.values()]
            if not _holds(settings.get("if", "success()"), seen, FAILURE in results, set(results) <= {SUCCESS}):
                self.note(f"\n=== {name} / {job}: skipped")
                done[job] = {"result": SKIPPED, "outputs": {}}
                continue
            done[job] = self._job(f"{name} / {job}", settings, seen, place)
        return FAILURE if any(job["result"] == FAILURE for job in done.values()) else SUCCESS

    def _job(self, title: str, settings: dict[str, Any], seen: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {"result": SUCCESS, "outputs": {}}
        strategy = settings.get("strategy", {})
        matrix = strategy.get("matrix", {}).get("include")
        for chosen in value(matrix, seen) if matrix else [{}]:
            here = {**seen, "matrix": chosen}
            self.note(f"\n=== {title}: {value(settings.get('name', ''), here)}")
            if "uses" in settings:
                handed = {name: value(text, here) for name, text in settings["with"].items()}
                called = Path(settings["uses"]).stem
                one = {"result": self._play(called, {**here, "inputs": handed}, place), "outputs": {}}
            else:
                one = self._steps(title, settings, here, place)
            result = one if result["result"] == SUCCESS else result
            if result["result"] == FAILURE and strategy.get("fail-fast", True):
                break
        return result

    def _steps(
        self, title: str, settings: dict[str, Any], seen: dict[str, Any], place: dict[str, Any]
    ) -> dict[str, Any]:
        self._clones += 1
        clone = self.folder / f"runner-{self._clones}"
        seen = {
            **seen,
            "steps": {step["id"]: {"outcome": "", "outputs": {}} for step in settings["steps"] if "id" in step},
            "subject": _subject(settings, seen),
        }
        inherited = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("AWS_", "GITHUB_", "LOCAL_AWS_", "MAKE", "MFLAGS"))
        }
        job_environment = {name: str(value(text, seen)) for name, text in settings.get("env", {}).items()}
        environment = inherited | job_environment
        failed = False
        for number, step in enumerate(settings["steps"]):
            if not _holds(step.get("if", "success()"), seen, failed, not failed):
                self.note(f"--- skipped: {step.get('run') or step['uses']}")
                continue
            if "run" in step:
                own = {name: str(value(text, seen)) for name, text in step.get("env", {}).items()}
                outcome, outputs = self._command(clone, number, step["run"], environment | own, seen)
                self.played.append((title, step["run"], outcome))
                failed = failed or outcome == FAILURE
                if "id" in step:
                    seen["steps"][step["id"]] = {"outcome": outcome, "outputs": outputs}
            else:
                handed = {name: value(text, seen) for name, text in step.get("with", {}).items()}
                action = step["uses"].partition("@")[0]
                environment |= self._action(action, handed, clone, seen, place)
        outputs = {name: value(text, seen) for name, text in settings.get("outputs", {}).items()}
        return {"result": FAILURE if failed else SUCCESS, "outputs": outputs}

    def _command(
        self, clone: Path, number: int, command: str, environment: Mapping[str, str], seen: dict[str, Any]
    ) -> tuple[str, dict[str, str]]:
        output, summary = clone / f".build/output-{number}", clone / f".build/summary-{number}"
        output.parent.mkdir(exist_ok=True)
        output.touch()
        actions = {
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_API_URL": self.github.address,
            "GITHUB_SERVER_URL": "https://github.test",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "1",
            "GITHUB_SHA": seen["github"]["sha"],
            "MAKEFLAGS": "--no-print-directory",
        }
        shown = re.sub(r"\$([A-Z]+)", lambda name: environment[name[1]], command)
        self.note(f"--- {shown}")
        began = time.monotonic()
        ended = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],  # as GitHub runs it
            cwd=clone,
            env=environment | actions,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=STEP_SECONDS,
        )
        self.note(ended.stdout.replace(str(self.folder), ""))
        if summary.exists():
            self.note(f"[summary]\n{summary.read_text()}")
        self.note(f"--- exit code {ended.returncode} after {time.monotonic() - began:.0f} s")
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return SUCCESS if ended.returncode == 0 else FAILURE, outputs

    def _action(
        self, action: str, handed: dict[str, Any], clone: Path, seen: dict[str, Any], place: dict[str, Any]
    ) -> Mapping[str, str]:
        """Plays an action; returns what it adds to the environment of the job's further steps."""
        if action == "actions/checkout":
            self._check_out(clone, handed.get("ref") or seen["github"]["sha"])
        elif action == "aws-actions/configure-aws-credentials":
            keys = self._sign_in(handed["role-to-assume"], seen)
            return {**self.aws, **keys, "AWS_REGION": handed["aws-region"]}
        elif action == "actions/upload-artifact":
            found = [file for pattern in handed["path"].split() for file in sorted(clone.glob(pattern.rstrip("/")))]
            files = [each for file in found for each in (sorted(file.iterdir()) if file.is_dir() else [file])]
            assert files or handed["if-no-files-found"] == "ignore", handed
            if files:
                self.github.upload(place["run"], handed["name"], {file.name: file.read_bytes() for file in files})
        elif action == "actions/download-artifact":
            self._download(handed, clone, place)
        else:
            assert action == "./.github/actions/set-up", f"{action} is not played yet"
        return {}

    def _sign_in(self, role_arn: str, seen: dict[str, Any]) -> dict[str, str]:
        """The role's credentials for the job's token, if the role trusts that; where there is no AWS, none."""
        assert role_arn.startswith("arn:aws:iam::"), role_arn
        if "AWS_ENDPOINT_URL" not in self.aws:
            return {}
        sts = boto3.client(
            "sts",
            endpoint_url=self.aws["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="nobody",
            aws_secret_access_key="nobody",
        )
        return sign_in(sts, role_arn, seen["subject"])

    def _check_out(self, clone: Path, commit: str) -> None:
        for command in (["clone", "--quiet", "--no-checkout", self.origin, clone], ["checkout", "--quiet", commit]):
            place = [] if command[0] == "clone" else ["-C", clone]
            subprocess.run(["git", *place, *command], check=True, capture_output=True)
        share_virtual_environment(clone)

    def _download(self, handed: dict[str, Any], clone: Path, place: dict[str, Any]) -> None:
        wanted = handed.get("name") or handed["pattern"]
        names = re.compile(re.escape(wanted).replace(r"\*", ".*"))
        found = [each for each in self.github.artifacts.get(place["run"], []) if names.fullmatch(each["name"])]
        assert found or "pattern" in handed, f"there is no artifact {wanted}"
        for artifact in found:
            target = clone / handed["path"] / ("" if "name" in handed else artifact["name"])
            target.mkdir(parents=True, exist_ok=True)
            packed = self.folder / "artifact.zip"
            packed.write_bytes(self.github.stored[artifact["id"]])
            shutil.unpack_archive(packed, target)


def _subject(job: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """What the job's token says of it."""
    github = seen["github"]
    if "environment" in job:
        return f"repo:{REPOSITORY}:environment:{value(job['environment'], seen)}"
    return f"repo:{REPOSITORY}:" + (
        "pull_request" if github["event_name"] == "pull_request" else f"ref:{github.get('ref')}"
    )


def share_virtual_environment(clone: Path) -> None:
    (clone / ".venv").symlink_to(paths.ROOT / ".venv")
    with (clone / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write(".venv\n")
    for lock in (clone / "requirements").iterdir():
        os.utime(lock, (0, 0))  # a clone's files are new, and make would install what is installed


def value(text: Any, seen: Mapping[str, Any]) -> Any:
    """A setting with its expressions put in; one that is nothing but an expression keeps its type."""
    if not isinstance(text, str):
        return text
    if whole := re.fullmatch(r"\$\{\{(.*?)\}\}", text):
        return _evaluated(whole[1], seen)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(_evaluated(found[1], seen)), text)


def _holds(condition: str, seen: Mapping[str, Any], failed: bool, succeeded: bool) -> bool:
    expression = condition.removeprefix("${{").removesuffix("}}").strip()
    status = {"failure": lambda: failed, "success": lambda: succeeded, "cancelled": lambda: False}
    if not re.search(r"\b(failure|success|cancelled|always)\(", expression):
        return succeeded and bool(_evaluated(expression, seen, status))
    return bool(_evaluated(expression, seen, status))


def _evaluated(expression: str, seen: Mapping[str, Any], functions: Mapping[str, Any] | None = None) -> Any:
    """GitHub's expressions are Python's but for their operators and the way that contexts are looked up."""
    expression = _EACH.sub(r"each(fromJSON(\1), '\2')", expression)
    parts = _LITERAL.split(expression)
    translated = "".join(part if _LITERAL.fullmatch(part) else _translated(part) for part in parts)
    known = {
        "look": lambda name: _look(name, seen),
        "fromJSON": json.loads,
        "join": lambda items, separator: separator.join(items),
        "each": lambda items, name: [item[name] for item in items],
    }
    return eval(translated.strip(), {"__builtins__": {}}, known | dict(functions or {}))  # noqa: S307  our workflows


def _translated(part: str) -> str:
    part = re.sub(r"!(?!=)", " not ", part).replace("&&", " and ").replace("||", " or ")
    return _NAME.sub(lambda found: found[0] if found[0] in ("and", "or", "not") else f"look({found[0]!r})", part)


def _look(name: str, seen: Mapping[str, Any]) -> Any:
    found: Any = seen
    *path, last = name.split(".")
    for part in path:
        assert part in found, f"the expression {name} is not known here"
        found = found[part]
    # An output or variable that was not set is empty; anything else must be there.
    optional = path[-1:] == ["outputs"] or path in (["inputs"], ["vars"])
    assert last in found or optional, f"the expression {name} is not known here"
    return found.get(last, "")

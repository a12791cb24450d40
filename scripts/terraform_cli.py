"""Runs Terraform through python-terraform: the right binary, the right providers, progress, and one-line errors."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import python_terraform

from scripts.console import EXIT_FAILED, CommandError, Progress, one_line

MINIMUM_VERSION = (1, 11, 0)
REGISTRY_FOLDER = "registry.terraform.io"
FLAG = python_terraform.IsFlagged
# The provider's schema fills hundreds of megabytes, and Go walks them again and again: a third of a plan's CPU time.
FEWER_COLLECTIONS = {"GOGC": "400"}
# Unless a level is named, the provider tells all that it does, and Terraform reads that to throw it away.
NO_PROVIDER_LOG = {"TF_LOG_PROVIDER": "off", "TF_LOG_SDK": "off"}
T = TypeVar("T")

_WATCH_SECONDS, _GRACE_SECONDS = 0.5, 3.0
NO_CHANGES, CHANGES = 0, 2  # what `terraform plan -detailed-exitcode` answers


class Diagnostic(NamedTuple):
    """An error as Terraform tells it."""

    summary: str
    detail: str
    address: str

    @property
    def is_of_variable(self) -> bool:
        """A value that the root, or a module that it was handed to, refuses."""
        return self.summary in ("Invalid value for variable", "Invalid value for input variable")

    def line(self) -> str:
        where = f" ({self.address})" if self.address else ""
        return one_line(f"{self.summary}{where}: {self.detail}" if self.detail else f"{self.summary}{where}")


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str
    errors: tuple[Diagnostic, ...]


class TerraformError(CommandError):
    """Terraform refused; `errors` holds what it said."""

    def __init__(self, action: str, result: Result) -> None:
        self.errors = result.errors
        said = "; ".join(error.line() for error in result.errors[:3]) or one_line(result.stderr)[-600:]
        more = f" (and {len(result.errors) - 3} more)" if len(result.errors) > 3 else ""
        super().__init__(f"terraform {action} failed: {said}{more}", exit_code=EXIT_FAILED)


def binary() -> str:
    """The Terraform to run: `terraform` on PATH, or what TERRAFORM names."""
    return os.environ.get("TERRAFORM") or "terraform"


def plugin_dir() -> Path | None:
    """The provider mirror for `terraform init -plugin-dir`, or None for the registry.

    TF_PLUGIN_DIR names one; otherwise the first of the usual places that holds `registry.terraform.io/`.
    """
    named = os.environ.get("TF_PLUGIN_DIR")
    if named:
        if not (Path(named) / REGISTRY_FOLDER).is_dir():
            raise CommandError(
                f"TF_PLUGIN_DIR={named} holds no folder {REGISTRY_FOLDER}/.",
                "Point it at a provider mirror (`terraform providers mirror DIR` makes one) or unset it.",
            )
        return Path(named)
    opt = Path("/opt")
    places = [
        Path.home() / ".terraform.d" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
        *(sorted(opt.iterdir()) if opt.is_dir() else ()),
    ]
    return next((place for place in places if (place / REGISTRY_FOLDER).is_dir()), None)


@cache
def require_terraform() -> str:
    """Checks that Terraform is there and new enough; returns its version."""
    wanted = ".".join(map(str, MINIMUM_VERSION[:2]))
    install = f"Install Terraform {wanted} or newer (developer.hashicorp.com/terraform/install) and put it on PATH."
    program = shutil.which(binary())
    if program is None:
        raise CommandError(f"{binary()} is not on PATH.", install)
    answer = subprocess.run([program, "version", "-json"], capture_output=True, text=True, check=False)
    match = re.search(r'"terraform_version":\s*"(\d+)\.(\d+)\.(\d+)', answer.stdout)
    if answer.returncode != 0 or match is None:
        raise CommandError(f"`{binary()} version` did not answer: {one_line(answer.stderr) or 'no output'}.", install)
    version = ".".join(match.groups())
    if tuple(map(int, match.groups())) < MINIMUM_VERSION:
        raise CommandError(f"Terraform {version} is too old: the state lock in S3 needs {wanted}.", install)
    return version


class Terraform(python_terraform.Terraform):  # type: ignore[misc]
    """One root module with its own data directory.

    python-terraform builds the command lines. Running them is ours: it waits for Terraform to unlock the state when
    interrupted, reads Terraform's JSON events while they come, and never looks for a local state file.
    """

    def __init__(
        self, root: Path, data_dir: Path, environment: Mapping[str, str], ended: Callable[[], str] = lambda: ""
    ) -> None:
        """`ended` tells why it is of no use to go on, once that is so: Terraform is then stopped."""
        require_terraform()
        self.ended = ended
        asks_for_log = any(name.startswith("TF_LOG") and value for name, value in environment.items())
        self.environment = {
            **FEWER_COLLECTIONS,
            **({} if asks_for_log else NO_PROVIDER_LOG),
            **environment,
            "TF_DATA_DIR": str(data_dir),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        super().__init__(working_dir=str(root), terraform_bin_path=binary())

    def read_state_file(self, file_path: str | None = None) -> None:  # noqa: ARG002  python-terraform's signature
        self.tfstate = None

    def cmd(self, cmd: str, *args: str, on_event: Callable[[dict[str, Any]], None] | None = None, **kwargs: Any) -> Any:
        """Runs one command. Returns (exit code, stdout, stderr), as python-terraform does."""
        options = {name: value for name, value in kwargs.items() if name != "capture_output" and value not in ({}, [])}
        command = self.generate_cmd_string(cmd, *args, **options)
        # A session of its own: Ctrl-C must reach Terraform once, from us, however the signal came.
        process = subprocess.Popen(
            command,
            cwd=self.working_dir,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_event else subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with self._stopped_when_ended(process):
            return self._wait(process, on_event)

    def _wait(self, process: "subprocess.Popen[str]", on_event: Callable[[dict[str, Any]], None] | None) -> Any:
        if on_event is None:
            stdout, stderr = _uninterrupted(process, process.communicate)
            return process.returncode, stdout, stderr
        lines: list[str] = []

        def read() -> None:
            for line in process.stdout or ():
                lines.append(line)
                try:
                    on_event(json.loads(line))
                except ValueError:  # a provider's stray output
                    continue
            process.wait()

        _uninterrupted(process, read)
        return process.returncode, "".join(lines), ""

    @contextmanager
    def _stopped_when_ended(self, process: "subprocess.Popen[str]") -> Iterator[None]:
        finished = threading.Event()
        reasons: list[str] = []

        def watch() -> None:
            while not finished.wait(_WATCH_SECONDS):
                if reason := self.ended():
                    reasons.append(reason)
                    process.send_signal(signal.SIGINT)  # ends what the provider waits for
                    if not finished.wait(_GRACE_SECONDS):
                        process.send_signal(signal.SIGINT)  # there is nowhere to save a state to
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()
        if reasons:
            raise CommandError(reasons[0], exit_code=EXIT_FAILED)

    def initialise(self, backend_config: Path) -> None:
        """`terraform init`, from a provider mirror where there is one; the lock file is never rewritten."""
        mirror = plugin_dir()
        code, stdout, stderr = self.init(
            backend_config=str(backend_config),
            lockfile="readonly",
            plugin_dir=str(mirror) if mirror else None,
            no_color=FLAG,
        )
        if code != 0:
            raise TerraformError("init", Result(code, stdout, stderr, ()))

    def plan_to(
        self, plan_file: Path, var_file: Path | Sequence[Path], progress: Progress, *, destroy: bool = False
    ) -> bool:
        """Plans into `plan_file`; True when it holds changes. Of several variable files the last one wins."""
        var_files = [str(file) for file in ([var_file] if isinstance(var_file, Path) else var_file)]
        options: dict[str, Any] = {"destroy": FLAG} if destroy else {}
        result = self._run_with_events(
            progress, self.plan, out=str(plan_file), var_file=var_files, lock_timeout="60s", **options
        )
        if result.exit_code not in (NO_CHANGES, CHANGES):
            raise TerraformError("plan", result)
        return result.exit_code == CHANGES

    def apply_plan(self, plan_file: Path, progress: Progress) -> None:
        result = self._run_with_events(
            progress, lambda **options: self.cmd("apply", str(plan_file), **options), input=False, lock_timeout="60s"
        )
        if result.exit_code != 0:
            raise TerraformError("apply", result)

    def show(self, plan_file: Path | None = None) -> dict[str, Any]:
        """`terraform show -json` of a plan file, or of the state."""
        code, stdout, stderr = self.cmd("show", *([str(plan_file)] if plan_file else []), json=FLAG)
        if code != 0:
            raise TerraformError("show", Result(code, stdout, stderr, ()))
        shown: dict[str, Any] = json.loads(stdout)
        return shown

    def state_version(self) -> tuple[str | None, int]:
        """Lineage and serial of the state: another serial is another state. (None, 0) before the first apply."""
        code, stdout, stderr = self.cmd("state pull")
        if code != 0:
            raise TerraformError("state pull", Result(code, stdout, stderr, ()))
        if not stdout.strip():
            return None, 0
        state = json.loads(stdout)
        return str(state["lineage"]), int(state["serial"])

    def show_text(self, plan_file: Path) -> str:
        code, stdout, stderr = self.cmd("show", str(plan_file), no_color=FLAG)
        if code != 0:
            raise TerraformError("show", Result(code, stdout, stderr, ()))
        return str(stdout)

    def _run_with_events(self, progress: Progress, action: Callable[..., Any], **options: Any) -> Result:
        errors: list[Diagnostic] = []
        done = 0
        planned = 0

        def on_event(event: dict[str, Any]) -> None:
            nonlocal done, planned
            kind = event.get("type")
            if kind == "diagnostic" and event["diagnostic"]["severity"] == "error":
                errors.append(_diagnostic(event["diagnostic"]))
            elif kind == "planned_change":
                planned += 1
            elif kind == "apply_complete":
                done += 1
            if kind in ("refresh_start", "apply_start", "apply_complete", "planned_change"):
                resource = event.get("hook", event.get("change", {})).get("resource", {}).get("addr", "")
                progress.update(f"{done}/{planned} {resource}" if planned else resource)

        options.pop("no_color", None)
        code, stdout, stderr = action(on_event=on_event, json=FLAG, **options)
        if not errors and code not in (NO_CHANGES, CHANGES):
            stderr = stderr or stdout
        return Result(code, stdout, stderr, tuple(errors))


def _uninterrupted(process: subprocess.Popen[str], wait: Callable[[], T]) -> T:
    """Waits to the end even when interrupted: Terraform then saves and unlocks the state before it leaves.

    A second interrupt makes Terraform leave at once; the interrupt itself is raised again when it is gone.
    """
    interrupted = False
    while True:
        try:
            result = wait()
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGINT)
            continue
        if interrupted:
            raise KeyboardInterrupt
        return result


def _diagnostic(found: dict[str, Any]) -> Diagnostic:
    return Diagnostic(
        summary=found.get("summary", ""), detail=found.get("detail", ""), address=found.get("address", "")
    )

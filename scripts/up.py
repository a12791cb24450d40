"""The main job: the whole stack on an embedded AWS, applied and verified. `python -m scripts.up`."""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import aws, environments, paths, stack, verify
from scripts.api_client import reachable_url
from scripts.console import CommandError, out, run, step
from scripts.local_aws.settings import API_PAGE_PATH
from scripts.stack import Stack
from scripts.terraform_cli import require_terraform

ENVIRONMENT = "local"
WEATHER_AGENT = {
    "id": "weather-1",
    "name": "Weather",
    "endpoint": "https://weather.example.com/agent",
    "capabilities": ["forecast"],
}


def main(
    json_output: Annotated[bool, typer.Option("--json", help="Print the verification as JSON.")] = False,
) -> None:
    """Build, start the embedded AWS, apply, verify. Again: no changes, verified again."""
    started_at = time.monotonic()
    with stack.exclusive(ENVIRONMENT):
        environment = environments.load(ENVIRONMENT)
        require_terraform()
        stack.build()
        fresh = _start()
        try:
            applied = stack.open_stack(environment.name)
            stack.forget_interrupted_runs(applied, fresh=fresh)
            _bootstrap(applied, fresh=fresh)
            stack.initialise(applied)
            stack.put_back_code(stack.replaced_code(applied))
            changes = stack.plan(applied)
        except CommandError:
            # Nothing is applied yet: a mistake in a variable must not leave a server behind.
            if fresh:
                aws.stop_embedded()
            raise
        if changes:
            _apply(applied)
        else:
            stack.settle_rollbacks(applied)
        applied.plan_file.unlink(missing_ok=True)
        outputs = stack.outputs(applied)
        checks = verify.verify(applied, outputs, is_planned=not changes)
    if json_output:
        report = json.loads((environment.build_dir / "verification.json").read_text())
        url = _url(outputs)
        addresses = {"api_url": url, "docs_url": url and f"{url}{API_PAGE_PATH}"}
        out.print_json(data=report | {"changes": changes, **addresses})
        verify.require_passed(checks)
    else:
        verify.show(checks)
        verify.require_passed(checks)
        out.print(f"\n{'applied' if changes else 'no changes'}, verified in {time.monotonic() - started_at:.0f} s.")
        _invite(_url(outputs), outputs["systems"], asks_for_tokens=outputs.get("api", {}).get("auth") == "jwt")


def apply_marker() -> Path:
    """Stands while an apply runs: when it is found, Terraform may have been killed before it saved the state."""
    return paths.BUILD / ENVIRONMENT / "apply-under-way"


def _start() -> bool:
    """Makes sure that the embedded AWS runs; True when it was started now.

    Resources that a killed apply made but never recorded could only be found by hand. What the embedded AWS holds is
    throw-away, so it is started anew then.
    """
    with step("start the embedded AWS"):
        if apply_marker().exists():
            aws.stop_embedded()
            apply_marker().unlink()
        return not aws.start_embedded().already_running


def _bootstrap(applied: Stack, *, fresh: bool) -> None:
    """Only where it can change anything: nobody else works on this account, so that what was applied stays."""
    inputs = hashlib.sha256(stack.bootstrap_variables(applied).read_bytes())
    for file in sorted(paths.BOOTSTRAP_ROOT.glob("*.tf")):
        inputs.update(file.read_bytes())
    done = paths.BUILD / ENVIRONMENT / "bootstrapped"
    if not fresh and done.exists() and done.read_text() == inputs.hexdigest():
        return
    done.unlink(missing_ok=True)
    stack.bootstrap(applied)
    done.write_text(inputs.hexdigest())


def _apply(applied: Stack) -> None:
    apply_marker().write_text(str(os.getpid()))
    try:
        stack.apply(applied)
    except CommandError:
        # Terraform ended by itself and has saved what it made.
        apply_marker().unlink(missing_ok=True)
        raise
    apply_marker().unlink(missing_ok=True)


def _url(outputs: Mapping[str, Any]) -> str | None:
    """The API's address on this machine; None when every system is switched off: Terraform leaves out what is null."""
    return reachable_url(outputs["api"]["url"]) if "api" in outputs else None


def _invite(url: str | None, systems: dict[str, Any], *, asks_for_tokens: bool) -> None:
    """What a person can try next, as lines to paste."""
    if url is None:
        out.print("Every system is switched off: there is no API.")
        return
    out.print(f"The API: {url}\nEvery route to try in a browser: {url}{API_PAGE_PATH}\n")
    for name, system in systems.items():
        routes = sorted({route.split(" ")[1] for route in system["routes"]})
        out.print(f"  {name:15} {'  '.join(routes)}", markup=False)
    out.print()
    curl = "curl -s"
    if asks_for_tokens:
        curl = 'curl -s -H "authorization: Bearer $API_TOKEN"'
        out.print("  make add-caller NAME=me TENANT=mine", markup=False)
        out.print("  API_TOKEN=$(make -s sign-in NAME=me)", markup=False)
    if "agent_registry" in systems:
        body = shlex.quote(json.dumps({"profile": WEATHER_AGENT}))
        out.print(f"  {curl} -X POST {url}/agents/register -H 'content-type: application/json' -d {body}", markup=False)
        out.print(f"  {curl} '{url}/agents?capability=forecast'\n", markup=False)
    elif "pet_store" in systems:
        out.print(f"  {curl} '{url}/pets?type=dog'\n", markup=False)
    out.print(f"make status, make logs SYSTEM={next(iter(systems))}, make down")


if __name__ == "__main__":
    run(main)

"""Validates the Terraform code under the newest provider: `python -m scripts.validate_ahead`.

The roots are locked to one version and the modules have an upper bound; in a copy of the code both are loosened. What
the newest provider calls deprecated must stand in docs/provider_6.md, with the plan for it.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import paths
from scripts.console import EXIT_FAILED, CommandError, one_line, out, run, step
from scripts.terraform_cli import FLAG, Result, Terraform, TerraformError, plugin_dir

LISTED = paths.ROOT / "docs" / "provider_6.md"
_CONSTRAINT = re.compile(r'(source +?= "hashicorp/aws"\n +version +?= )"[^"]+"')


def main(
    version: Annotated[str, typer.Option(help="The versions to choose from.")] = ">= 5.100",
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Validate every root and module under the newest provider; only TF_PLUGIN_DIR keeps it from the registry."""
    listed = set(re.findall(r"`([\w.*]+)`", LISTED.read_text()))
    with tempfile.TemporaryDirectory(prefix="validate-ahead-") as scratch:
        code = loosened(Path(scratch) / "code", version)
        # What the first init has fetched serves the others.
        mirror = plugin_dir() if os.environ.get("TF_PLUGIN_DIR") else None
        used = ""
        found: dict[str, list[dict[str, Any]]] = {}
        for directory in directories(code):
            data_dir = Path(scratch) / "data" / directory.name
            name = str(directory.relative_to(code))
            with step(f"{name} under provider {used or version}"):
                terraform = Terraform(directory, data_dir, os.environ)
                _initialise(terraform, mirror)
                mirror = mirror or data_dir / "providers"
                used = used or _provider_version(terraform)
                found[name] = _validate(terraform)
    said = [(one, f"{name}/{_said(one)}") for name, diagnostics in found.items() for one in diagnostics]
    errors = [line for one, line in said if one["severity"] == "error"]
    warnings = [line for one, line in said if one["severity"] == "warning"]
    unlisted = [line for one, line in said if one["severity"] == "warning" and not _is_listed(one, listed)]
    if as_json:
        print(json.dumps({"provider": used, "directories": list(found), "errors": errors, "warnings": warnings}))
    else:
        out.print(f"provider {used}: {len(found)} roots and modules, {len(errors)} errors, {len(warnings)} warnings")
        for line in [*errors, *warnings]:
            out.print(f"  {line}", markup=False)
    if errors:
        raise CommandError(f"Not valid under provider {used}: {errors[0]}", exit_code=EXIT_FAILED)
    if unlisted:
        next_step = f"Say what will be done about it in {LISTED.relative_to(paths.ROOT)}."
        raise CommandError(f"Provider {used} deprecates what is not listed: {unlisted[0]}", next_step, EXIT_FAILED)


def loosened(to: Path, version: str) -> Path:
    """A copy of the Terraform code that takes any of these provider versions, without lock files."""
    left_out = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
    shutil.copytree(paths.TERRAFORM_ROOT, to / "terraform", ignore=left_out)
    for file in to.rglob("*.tf"):
        file.write_text(_CONSTRAINT.sub(rf'\1"{version}"', file.read_text()))
    return to


def directories(code: Path) -> list[Path]:
    """Roots and modules: whatever says which provider it takes."""
    return sorted({file.parent for file in code.rglob("*.tf") if _CONSTRAINT.search(file.read_text())})


def _initialise(terraform: Terraform, mirror: Path | None) -> None:
    code, stdout, stderr = terraform.init(backend=False, plugin_dir=str(mirror) if mirror else None, no_color=FLAG)
    if code != 0:
        raise TerraformError("init", Result(code, stdout, stderr, ()))


def _provider_version(terraform: Terraform) -> str:
    _, stdout, _ = terraform.cmd("version", json=FLAG)
    versions: dict[str, str] = json.loads(stdout)["provider_selections"]
    return next(iter(versions.values()), "none")


def _validate(terraform: Terraform) -> list[dict[str, Any]]:
    _, stdout, stderr = terraform.cmd("validate", json=FLAG)
    try:
        diagnostics: list[dict[str, Any]] = json.loads(stdout)["diagnostics"]
    except ValueError:
        raise TerraformError("validate", Result(1, stdout, stderr, ())) from None
    return diagnostics


def _said(diagnostic: dict[str, Any]) -> str:
    place = diagnostic.get("range", {})
    where = f"{place['filename']}:{place['start']['line']}: " if place else " "
    return where + one_line(f"{diagnostic['summary']}: {diagnostic.get('detail', '')}")


def _is_listed(warning: dict[str, Any], listed: set[str]) -> bool:
    """Whether the list has what is warned of, by kind of resource and by name."""
    snippet = warning.get("snippet") or {}
    told = " ".join([snippet.get("context") or "", snippet.get("code", ""), warning.get("detail", "")])
    words = set(re.findall(r"\w+", told))
    return any({name.removeprefix("data.").split(".")[0], name.rpartition(".")[2]} <= words for name in listed)


if __name__ == "__main__":
    run(main)

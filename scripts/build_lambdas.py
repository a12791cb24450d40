"""Builds the function zips and their manifest: `python -m scripts.build_lambdas`.

A zip holds the modules that the system's handler imports, from its own package and from `common/`, bundled in one file
(see lambda_src/function.py), and the packages of its `requirements.txt` where it has one (hash-locked wheels for the
function's architecture). Its bytes depend on the contents alone; what did not change is not built again. The manifest
is what Terraform and verification read. Beside each zip lies its bill of materials.
"""

import ast
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import bill_of_materials, deterministic_zip, paths, strip_source
from scripts.console import CommandError, one_line, out, run, step

RUNTIME_PYTHON = "3.13"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's word → the wheel platform's
DEFAULT_ARCHITECTURE = "arm64"
MANIFEST = "manifest.json"
ENTRY = "function"
MODULES_FILE = "modules.txt"


def functions(source: Path = paths.LAMBDA_SOURCE) -> list[str]:
    """Every folder with a handler."""
    return sorted(handler.parent.name for handler in source.glob("*/handler.py"))


def systems(source: Path = paths.LAMBDA_SOURCE) -> list[str]:
    """The functions that answer an API of their own: those with a contract."""
    return [name for name in functions(source) if (source / name / "openapi.yaml").is_file()]


def build(
    source: Path = paths.LAMBDA_SOURCE, target: Path = paths.LAMBDA_BUILD, architecture: str = DEFAULT_ARCHITECTURE
) -> dict[str, Any]:
    """Builds what changed; returns the manifest with `rebuilt`, the names of the functions that were built anew."""
    target.mkdir(parents=True, exist_ok=True)
    before = read_manifest(target)
    built, rebuilt = {}, []
    for system in functions(source):
        files = _modules(source, system)
        requirements = source / system / "requirements.txt"
        locked = requirements.read_bytes() if requirements.is_file() else b""
        digest = _digest(files, locked, architecture.encode() if locked else b"", _builder())
        entry, zip_file = before.get(system), target / f"{system}.zip"
        if not (entry and entry["source_digest"] == digest and _sha256(zip_file) == entry["sha256"]):
            third_party = _third_party(requirements, architecture) if locked else {}
            entry = _write_zip(zip_file, _bundled(system, files) | third_party) | {
                "modules": sorted(files),
                "packages": bill_of_materials.packages_in(third_party),
                "source_digest": digest,
                # Python sources run anywhere; only compiled wheels tie a zip to one architecture.
                "architecture": architecture if any(path.endswith(".so") for path in third_party) else None,
            }
            rebuilt.append(system)
        built[system] = entry
        bill = bill_of_materials.of_zip(system, entry, files, RUNTIME_PYTHON, MODULES_FILE)
        _replace(target / f"{system}{bill_of_materials.SUFFIX}", bill)
    manifest = {"functions": built}
    _replace(target / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
    for suffix in (".zip", bill_of_materials.SUFFIX):
        for stale in set(target.glob(f"*{suffix}")) - {target / f"{system}{suffix}" for system in built}:
            stale.unlink()
    return manifest | {"rebuilt": rebuilt}


def _modules(source: Path, system: str) -> dict[str, bytes]:
    """The stripped sources of the handler and of every module here that it imports, now or later."""
    found: dict[str, bytes] = {}
    wanted = [f"{system}.handler"]
    while wanted:
        name = wanted.pop()
        file = source / Path(*name.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        path = file.relative_to(source).as_posix()
        if path in found or not file.is_file():
            continue
        text = _stripped(file)
        found[path] = text.encode()
        wanted += _imported(text)
    return found


def _stripped(file: Path) -> str:
    # A checkout may turn line ends into CRLF; the zip must not depend on that.
    return _strip(file.read_bytes().replace(b"\r\n", b"\n").decode())


@cache
def _strip(text: str) -> str:
    """Once for all the systems that share a module."""
    return strip_source.strip(text)


def _bundled(system: str, modules: dict[str, bytes]) -> dict[str, bytes]:
    """The modules as the two files that lambda_src/function.py makes do with."""
    start = f"install(__file__[: -len({ENTRY + '.py'!r})])\nfrom {system}.handler import handler\n"
    return {
        f"{ENTRY}.py": (_stripped(paths.LAMBDA_SOURCE / f"{ENTRY}.py") + start).encode(),
        MODULES_FILE: b"\0".join(f"{path}\n".encode() + modules[path] for path in sorted(modules)),
    }


@cache
def _imported(text: str) -> tuple[str, ...]:
    """Every module that the source may import, with the packages that hold it; also names that may be modules."""
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found |= dict.fromkeys(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return tuple(found)


def _third_party(requirements: Path, architecture: str) -> dict[str, bytes]:
    platform = f"manylinux2014_{ARCHITECTURES[architecture]}"
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--require-hashes", "--only-binary=:all:", "--no-deps", "--implementation", "cp"),
            *("--python-version", RUNTIME_PYTHON, "--platform", platform),
            *("--target", directory, "--requirement", str(requirements)),
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise CommandError(
                f"{requirements.parent.name}: its packages can't be installed: {one_line(answer.stderr)[-400:]}",
                f"Lock {requirements.name} with hashes of wheels for Python {RUNTIME_PYTHON} on {platform}.",
            )
        root = Path(directory)
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            # What pip notes about its own run differs from machine to machine; scripts never run on Lambda.
            if path.is_file()
            and path.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
            and path.relative_to(root).parts[0] != "bin"
        }


def _write_zip(zip_file: Path, files: dict[str, bytes]) -> dict[str, Any]:
    content = deterministic_zip.archive(files)
    _replace(zip_file, content)
    digest = hashlib.sha256(content)
    return {
        "zip": zip_file.name,
        "handler": f"{ENTRY}.handler",
        "sha256": digest.hexdigest(),
        "source_code_hash": base64.b64encode(digest.digest()).decode(),
        "size_bytes": len(content),
        "files": [
            {"path": path, "sha256": hashlib.sha256(files[path]).hexdigest(), "size_bytes": len(files[path])}
            for path in sorted(files)
        ],
    }


def _digest(files: dict[str, bytes], *more: bytes) -> str:
    digest = hashlib.sha256()
    for part in (*(item for path in sorted(files) for item in (path.encode(), files[path])), *more):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _builder() -> bytes:
    """A changed builder builds anew."""
    return b"".join(
        Path(module).read_bytes()
        for module in (
            __file__,
            bill_of_materials.__file__,
            deterministic_zip.__file__,
            strip_source.__file__,
            paths.LAMBDA_SOURCE / f"{ENTRY}.py",
        )
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def read_manifest(target: Path) -> dict[str, Any]:
    """The functions of the manifest by system; none where nothing was built."""
    try:
        functions: dict[str, Any] = json.loads((target / MANIFEST).read_bytes())["functions"]
    except (OSError, ValueError, KeyError):
        return {}
    return functions


def _replace(file: Path, content: bytes) -> None:
    """Writes all or nothing, whenever it is interrupted, and leaves an unchanged file alone."""
    if file.is_file() and file.read_bytes() == content:
        return
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.new")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def main(
    architecture: Annotated[
        str, typer.Option(help="arm64 or x86_64; matters only to a function with third-party packages.")
    ] = DEFAULT_ARCHITECTURE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Build the zips of all functions and their manifest; what did not change stays as it is."""
    if architecture not in ARCHITECTURES:
        raise CommandError(f"{architecture!r} is not an architecture of Lambda.", f"Use {' or '.join(ARCHITECTURES)}.")
    with step("build functions"):
        manifest = build(architecture=architecture)
    if as_json:
        out.print_json(data=manifest)
        return
    for system, entry in manifest["functions"].items():
        state = "built" if system in manifest["rebuilt"] else "unchanged"
        out.print(f"{system:20} {entry['size_bytes'] / 1024:6.1f} KB  {entry['sha256'][:12]}  {state}")


if __name__ == "__main__":
    run(main)

"""Builds the function zips and their manifest: `python -m scripts.build_lambdas`.

A zip holds the modules that the system's handler imports, from its own package and from `common/`, bundled in one file
(see lambda_src/function.py), and the packages of its `requirements.txt` where it has one (hash-locked wheels for the
function's architecture). Its bytes depend on the contents alone; what did not change is not built again. The manifest
is what Terraform and verification read. Beside each zip lies its bill of materials.
"""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from scripts import paths

# All else is imported where it is needed: loading it takes longer than to see that nothing changed.

DEFAULT_ARCHITECTURE = "arm64"
MANIFEST = "manifest.json"
_STAMP = ".built.sha256"  # of all that the last build read and made


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
    if is_built(source, target, architecture):
        return {"functions": read_manifest(target), "rebuilt": []}
    from scripts import archivers, bill_of_materials, function_contents

    target.mkdir(parents=True, exist_ok=True)
    before = read_manifest(target)
    modules, contents, built, archives = {}, {}, {}, {}
    sources, names = function_contents.Sources(source), functions(source)
    with archivers.Archivers(len(names)) as processes:
        for system in names:
            modules[system] = sources.modules(system)
            bundle = sources.bundled(system, modules[system])
            requirements = source / system / "requirements.txt"
            locked = requirements.read_bytes() if requirements.is_file() else b""
            digest = _digest(bundle, locked, architecture.encode() if locked else b"", _builder())
            built[system] = before.get(system, {})
            if (
                built[system].get("source_digest") == digest
                and _sha256(target / f"{system}.zip") == built[system]["sha256"]
            ):
                continue
            third_party = function_contents.third_party(requirements, architecture) if locked else {}
            contents[system] = bundle | third_party
            archives[system] = processes.start(contents[system])
            built[system] = {
                "modules": sorted(modules[system]),
                "packages": bill_of_materials.packages_in(third_party),
                "source_digest": digest,
                # Python sources run anywhere; only compiled wheels tie a zip to one architecture.
                "architecture": architecture if any(path.endswith(".so") for path in third_party) else None,
            }
        for system, archive in archives.items():
            built[system] |= _write_zip(target / f"{system}.zip", archive.result(), contents[system])
    for system, entry in built.items():
        bill = bill_of_materials.of_zip(
            system, entry, modules[system], function_contents.RUNTIME_PYTHON, function_contents.MODULES_FILE
        )
        _replace(target / f"{system}{bill_of_materials.SUFFIX}", bill)
    manifest = {"functions": built}
    _replace(target / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
    for suffix in (".zip", bill_of_materials.SUFFIX):
        for stale in set(target.glob(f"*{suffix}")) - {target / f"{system}{suffix}" for system in built}:
            stale.unlink()
    _replace(target / _STAMP, _stamp(source, target, architecture))
    return manifest | {"rebuilt": list(archives)}


def is_built(
    source: Path = paths.LAMBDA_SOURCE, target: Path = paths.LAMBDA_BUILD, architecture: str = DEFAULT_ARCHITECTURE
) -> bool:
    """Whether nothing that a build reads or makes has changed since the last one."""
    stamp = target / _STAMP
    return stamp.is_file() and stamp.read_bytes() == _stamp(source, target, architecture)


def _stamp(source: Path, target: Path, architecture: str) -> bytes:
    inputs = [file for file in source.rglob("*") if file.suffix == ".py" or file.name == "requirements.txt"]
    results = [file for file in target.iterdir() if file.suffix in (".zip", ".json")]
    digest = hashlib.sha256(_builder() + architecture.encode())
    for folder, files in ((source, inputs), (target, results)):
        for file in sorted(files):
            digest.update(f"\0{file.relative_to(folder).as_posix()}\0{_sha256(file)}".encode())
    return digest.hexdigest().encode()


def _write_zip(zip_file: Path, content: bytes, files: dict[str, bytes]) -> dict[str, Any]:
    _replace(zip_file, content)
    digest = hashlib.sha256(content)
    return {
        "zip": zip_file.name,
        "handler": f"{paths.FUNCTION_ENTRY.stem}.handler",
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
    names = (
        "bill_of_materials",
        "build_lambdas",
        "deterministic_zip",
        "function_contents",
        "strip_source",
    )
    modules = [Path(__file__).with_name(f"{name}.py") for name in names]
    return b"".join(module.read_bytes() for module in (*modules, paths.FUNCTION_ENTRY))


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


def _tell(functions: dict[str, Any], rebuilt: list[str]) -> None:
    for system, entry in functions.items():
        state = "built" if system in rebuilt else "unchanged"
        print(f"{system:20} {entry['size_bytes'] / 1024:6.1f} KB  {entry['sha256'][:12]}  {state}")


def _build_all() -> None:
    from scripts.console import step

    with step("build functions"):
        manifest = build()
    _tell(manifest["functions"], manifest["rebuilt"])


def _run_with_options() -> None:
    import typer

    from scripts.console import CommandError, out, run, step
    from scripts.function_contents import ARCHITECTURES

    def main(
        architecture: Annotated[
            str, typer.Option(help="arm64 or x86_64; matters only to a function with third-party packages.")
        ] = DEFAULT_ARCHITECTURE,
        as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
    ) -> None:
        """Build the zips of all functions and their manifest; what did not change stays as it is."""
        if architecture not in ARCHITECTURES:
            raise CommandError(
                f"{architecture!r} is not an architecture of Lambda.", f"Use {' or '.join(ARCHITECTURES)}."
            )
        with step("build functions"):
            manifest = build(architecture=architecture)
        if as_json:
            out.print_json(data=manifest)
        else:
            _tell(manifest["functions"], manifest["rebuilt"])

    run(main)


if __name__ == "__main__":
    if sys.argv[1:]:
        _run_with_options()
    elif is_built():
        _tell(read_manifest(paths.LAMBDA_BUILD), [])
    else:
        from scripts.console import exit_after

        exit_after(_build_all)

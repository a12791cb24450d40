"""What a function's zip holds: the modules that its handler imports, bundled in one file, and third-party packages.

See lambda_src/function.py for the bundle.
"""

import ast
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from scripts import paths, strip_source
from scripts.console import CommandError, one_line

RUNTIME_PYTHON = "3.13"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's word → the wheel platform's
MODULES_FILE = "modules.txt"


def modules(source: Path, system: str) -> dict[str, bytes]:
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


def bundled(system: str, modules: dict[str, bytes]) -> dict[str, bytes]:
    """The modules as the two files that lambda_src/function.py makes do with."""
    start = f"install(__file__[: -len({paths.FUNCTION_ENTRY.name!r})])\nfrom {system}.handler import handler\nready()\n"
    return {
        paths.FUNCTION_ENTRY.name: (_stripped(paths.FUNCTION_ENTRY) + start).encode(),
        MODULES_FILE: b"\0".join(f"{path}\n".encode() + modules[path] for path in sorted(modules)),
    }


@cache
def _imported(text: str) -> tuple[str, ...]:
    """Every module that the source may import, with the packages that hold it; also names that may be modules."""
    found: dict[str, None] = {}
    for node in strip_source.statements(ast.parse(text)):
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


def third_party(requirements: Path, architecture: str) -> dict[str, bytes]:
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

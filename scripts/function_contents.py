"""What a function's zip holds: the modules that its handler imports, bundled in one file, and third-party packages.

See lambda_src/function.py for the bundle.
"""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import paths, strip_source
from scripts.console import CommandError, one_line

RUNTIME_PYTHON = "3.13"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's word → the wheel platform's
MODULES_FILE = "modules.txt"
_START = f"install(__file__[: -len({paths.FUNCTION_ENTRY.name!r})])\nfrom {{system}}.handler import handler\nready()\n"
# Every API imports these: with all that they import in front, bundles begin alike, which packs sooner, and smaller.
_IN_FRONT = ("common.paging", "common.preconditions", "common.router", "common.settings")


class Sources:
    """The modules in a folder; each is read, stripped and searched for imports once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[str, bytes, tuple[str, ...]] | None] = {}
        self._entry = strip_source.strip(_text(paths.FUNCTION_ENTRY))

    def modules(self, system: str) -> dict[str, bytes]:
        """The stripped sources of the handler and of every module here that it imports, now or later."""
        return self._with_imports(f"{system}.handler")

    def bundled(self, system: str, modules: dict[str, bytes]) -> dict[str, bytes]:
        """The modules as the two files that lambda_src/function.py makes do with."""
        in_front = self._with_imports(*_IN_FRONT)
        # the system's own last: then they pack a hundredth smaller
        order = sorted(modules, key=lambda path: (path not in in_front, path.startswith(f"{system}/"), path))
        return {
            paths.FUNCTION_ENTRY.name: (self._entry + _START.format(system=system)).encode(),
            MODULES_FILE: b"\0".join(f"{path}\n".encode() + modules[path] for path in order),
        }

    def _with_imports(self, *names: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        wanted, met = [*names], set()
        while wanted:
            name = wanted.pop()
            if name not in met and (module := self._module(name)):
                path, found[path], imported = module
                wanted += imported
            met.add(name)
        return found

    def _module(self, name: str) -> tuple[str, bytes, tuple[str, ...]] | None:
        """Path, stripped source and imports; None for what is not here."""
        if name not in self._read:
            file = self._folder / name.replace(".", "/")
            file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            self._read[name] = None
            if file.is_file():
                text = _text(file)
                path = file.relative_to(self._folder).as_posix()
                try:
                    self._read[name] = path, strip_source.strip(text).encode(), _imported(text)
                except SyntaxError as error:
                    raise CommandError(f"{file}, line {error.lineno}: {error.msg}.", "Mend it, then build.") from None
        return self._read[name]


def _text(file: Path) -> str:
    # A checkout may turn line ends into CRLF; the zip must not depend on that.
    return file.read_bytes().replace(b"\r\n", b"\n").decode()


def _imported(text: str) -> tuple[str, ...]:
    """Every module that the source may import, with the packages that hold it; also names that may be modules."""
    found: dict[str, None] = {}
    for node in strip_source.statements(strip_source.parsed(text), at_run_time=True):
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

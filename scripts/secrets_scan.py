"""Looks for secrets in what git holds or would take: `python -m scripts.secrets_scan`.

By those detectors of detect-secrets that know a secret by its form: keys of AWS, private keys, tokens, passwords in
URLs. The others guess by a variable's name or a text's randomness, and would find each hash of a lock file. A line that
says `pragma: allowlist secret` is passed over. What is found is told by its place, and never shown.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from scripts import paths
from scripts.console import EXIT_FAILED, CommandError, one_line, out, run, step

_ALLOWED = "pragma: allowlist secret"
# A line that can't hold one: it says so, is a hash of npm's, or a URL of a domain that nobody can have (RFC 2606).
_NONE = re.compile(rf'{_ALLOWED}|"integrity": "sha512-|://[^/\s]+@([\w-]+\.)*example(\.(com|net|org))?[/:"\']')
# detect-secrets wants its base64 behind it, which may be indented, or end its lines otherwise.
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_GUESSING = {"Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword"}


class Found(NamedTuple):
    file: str
    line: int
    kind: str


def main(
    history: Annotated[
        bool, typer.Option("--history", help="Also in every version of every file, in all refs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Look for secrets in every file that git knows or does not ignore; exit code 1 when there is one."""
    found: set[Found] = set()
    texts = 0
    with step("look for secrets" + (" in all versions" if history else "")) as progress:
        for name, text in (*_files(), *(_versions() if history else ())):
            texts += 1
            progress.update(f"{texts} texts")
            found.update(find(name, text))
    if as_json:
        print(json.dumps({"texts": texts, "found": [one._asdict() for one in sorted(found)]}))
    else:
        if found:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for title in Found._fields:
                table.add_column(title)
            for one in sorted(found):
                table.add_row(one.file, str(one.line), one.kind)
            out.print(table)
        out.print(f"{texts} texts, {len(found)} secrets")
    if found:
        first = min(found)
        raise CommandError(
            f"There is a secret in {first.file}, line {first.line}: {first.kind}.",
            "Take it back where it was issued, then out of the file: whoever has the repository has it. "
            f"If it is none, end its line in `{_ALLOWED}`.",
            EXIT_FAILED,
        )


def find(name: str, text: str) -> Iterator[Found]:
    """Whole texts and not their lines: ten times as fast, and a private key has many lines."""
    for kind, pattern, holds in _patterns():
        for match in pattern.finditer(text):
            start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.start())
            if holds(match[0]) and not _NONE.search(text[start : end if end >= 0 else None]):
                yield Found(name, text.count("\n", 0, match.start()) + 1, kind)


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], Callable[[str], bool]]]:
    """What kind of secret, how it looks, and whether a text that looks so really is one."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    found: list[tuple[str, re.Pattern[str], Callable[[str], bool]]] = [("Private Key", _PRIVATE_KEY, bool)]
    for kind, made in sorted(get_mapping_from_secret_type_to_class().items()):
        if kind not in _GUESSING:
            detector = made()
            found += [(kind, pattern, partial(_holds, detector)) for pattern in detector.denylist]
    return found


def _holds(detector: Any, text: str) -> bool:
    return any(True for _ in detector.analyze_string(text))


def _files() -> Iterator[tuple[str, str]]:
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode(errors="surrogateescape")
    for name in sorted(set(filter(None, listed.split("\0")))):
        file = paths.ROOT / name
        if file.is_file() and not file.is_symlink():
            yield name, file.read_bytes().decode(errors="replace")


def _versions() -> Iterator[tuple[str, str]]:
    """Every blob of the history, by one of its names and the begin of its id."""
    named: dict[str, str] = {}
    for line in _git("rev-list", "--objects", "--all").decode(errors="replace").splitlines():
        blob, _, name = line.partition(" ")
        named[blob] = name
    answer = _git("cat-file", "--batch", given="".join(f"{blob}\n" for blob in named).encode())
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        blob, kind, size = answer[position:end].decode().split()
        content = answer[end + 1 : end + 1 + int(size)]
        position = end + 2 + int(size)
        if kind == "blob":
            yield f"{named[blob]}@{blob[:10]}", content.decode(errors="replace")


def _git(*arguments: str, given: bytes = b"") -> bytes:
    try:
        ended = subprocess.run(["git", *arguments], cwd=paths.ROOT, input=given, capture_output=True, check=False)
    except FileNotFoundError:
        raise CommandError("git is not on PATH, and tells which files to look at.", "Install git.") from None
    if ended.returncode != 0:
        said = one_line(ended.stderr.decode(errors="replace"))[-200:]
        raise CommandError(f"git {arguments[0]} failed: {said}", "Run it in a clone of the repository.")
    return ended.stdout


if __name__ == "__main__":
    run(main)

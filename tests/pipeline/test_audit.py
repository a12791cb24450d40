"""Locked packages are held against advisories by pip-audit itself; what was held against nothing is no pass."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts import audit, paths
from scripts.console import CommandError
from tests.ports import free_port

HASH = "0" * 64
ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "modified": "2026-01-01T00:00:00Z",
    "aliases": ["CVE-2026-0001"],
    "summary": "Reads beyond the end",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """An OSV service that knows of one package."""

    asked: list[str] = []  # noqa: RUF012 - one server a test module

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(query["package"]["name"])
        body = json.dumps({"vulns": [ADVISORY]} if query["package"]["name"] == "leaky" else {}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def osv() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lock files in a place of their own, and no accepted advisory."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "LOCKS", tmp_path / "requirements")
    return tmp_path / "requirements"


def lock(folder: Path, name: str, *packages: str) -> None:
    (folder / name).write_text("".join(f"{package} \\\n    --hash=sha256:{HASH}\n" for package in packages))


def test_a_known_vulnerability_is_told_with_the_version_that_mends_it(
    locks: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(locks, "run.txt", "leaky==1.0", "tight==2.0")
    with pytest.raises(CommandError, match=r"1 known .* leaky 1\.0: CVE-2026-0001") as caught:
        audit.main(advisories=osv)
    assert caught.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "leaky    1.0      CVE-2026-0001 GHSA-aaaa-bbbb-cccc  1.1" in shown
    assert "2 locked packages held against advisories, 1 vulnerabilities" in shown
    # accepted by any of its names, with a reason
    (paths.ROOT / "pyproject.toml").write_text('[tool.audit.accepted]\nGHSA-aaaa-bbbb-cccc = "what is read is ours"\n')
    audit.main(advisories=osv, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["vulnerabilities"], len(found["accepted"]), found["unknown"]) == ([], 1, {})


def test_an_acceptance_without_a_reason_is_refused(locks: Path) -> None:
    (paths.ROOT / "pyproject.toml").write_text('[tool.audit.accepted]\nCVE-2026-0001 = "ok"\n')
    with pytest.raises(CommandError, match="does not say why CVE-2026-0001"):
        audit.main()


def test_every_package_of_every_lock_file_is_asked_for(locks: Path, osv: str) -> None:
    lock(locks, "run.txt", "tight==2.0")
    lock(locks, "scan.txt", "tight==1.9", "other==3.0 ; python_full_version < '99'")
    Osv.asked.clear()
    audit.main(advisories=osv)
    assert sorted(Osv.asked) == ["other", "tight", "tight"]


def test_where_nothing_answers_nothing_passes(locks: Path) -> None:
    lock(locks, "run.txt", "tight==2.0")
    with pytest.raises(CommandError, match=r"run\.txt could not be held against any advisory") as caught:
        audit.main(advisories=f"http://127.0.0.1:{free_port()}/v1/query")
    assert caught.value.exit_code == 2
    assert "ADVISORIES=" in caught.value.next_step


def test_what_the_service_does_not_know_does_not_pass() -> None:
    """Behind a mirror PyPI's advisories are not there: pip-audit passes over each package, and ends with 0."""
    found = audit.Audit(set(), [], {})
    reason = "Dependency not found on PyPI and could not be audited: tight (2.0)"
    audit.add(found, {"dependencies": [{"name": "tight", "skip_reason": reason}]})
    assert (found.packages, found.unknown) == (set(), {"tight": reason})


def test_a_lock_file_without_packages_is_no_pass(locks: Path, osv: str) -> None:
    lock(locks, "run.txt")
    with pytest.raises(CommandError, match=r"no package in run\.txt"):
        audit.main(advisories=osv)

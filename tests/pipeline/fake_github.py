"""A small GitHub on this machine: just what the pipeline asks of its API, over real HTTP."""

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "example/agents"
TOKEN = "token-of-the-job"
BOT = "github-actions[bot]"


class FakeGitHub:
    """What the repository holds, to be changed by tests at any time; `requests` lists what was asked."""

    def __init__(self) -> None:
        self.address = ""
        self.comments: list[dict[str, Any]] = []
        self.pulls: dict[str, list[dict[str, Any]]] = {}  # by merged commit
        self.trees: dict[str, str] = {}  # by commit
        self.runs: list[dict[str, Any]] = []
        self.artifacts: dict[int, list[dict[str, Any]]] = {}  # by run
        self.stored: dict[int, bytes] = {}  # by artifact
        self.failures: list[tuple[str, int, dict[str, str], str]] = []  # answered first: method, status, headers, said
        self.requests: list[str] = []
        self.page_size = 100

    def comment(self, login: str | None, body: str, issue: int = 12) -> dict[str, Any]:
        made = {
            "id": len(self.comments) + 1,
            "issue": issue,
            "user": login and {"login": login},
            "body": body,
            "html_url": f"https://github.test/{REPOSITORY}/pull/{issue}#issuecomment-{len(self.comments) + 1}",
        }
        self.comments.append(made)
        return made

    def pull_request(self, number: int, head: str, merged: str, repository: str | None = REPOSITORY) -> None:
        origin = {"sha": head, "repo": repository and {"full_name": repository}}
        self.pulls[merged] = [
            {"number": number, "merged_at": "2026-01-02T03:04:05Z", "merge_commit_sha": merged, "head": origin}
        ]

    def run(self, head: str, **changed: Any) -> int:
        number = len(self.runs) + 1
        self.runs.append(
            {
                "id": 1000 + number,
                "run_number": number,
                "head_sha": head,
                "event": "pull_request",
                "status": "completed",
                "conclusion": "success",
                "head_repository": {"full_name": REPOSITORY},
                "html_url": f"https://github.test/{REPOSITORY}/actions/runs/{1000 + number}",
                **changed,
            }
        )
        return 1000 + number

    def upload(self, run: int, name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        artifact_id = len(self.stored) + 1
        self.stored[artifact_id] = packed.getvalue()
        artifact = {
            "id": artifact_id,
            "name": name,
            "expired": False,
            "created_at": f"2026-01-02T03:04:{artifact_id:02}Z",
            "digest": f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}",
            "archive_download_url": f"{self.address}/repos/{REPOSITORY}/actions/artifacts/{artifact_id}/zip",
        }
        self.artifacts.setdefault(run, []).append(artifact)
        return artifact

    def answer(self, method: str, path: str, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and answer; bytes stand for a download, a list may come in pages."""
        if (method, path) == ("GET", "/user"):
            return 403, {"message": "Resource not accessible by integration"}
        rest = path.removeprefix(f"/repos/{REPOSITORY}")
        if rest == path:
            return 404, {"message": "Not Found"}
        if found := re.fullmatch(r"/issues/(\d+)/comments", rest):
            issue = int(found[1])
            if method == "POST":
                return 201, self.comment(BOT, body["body"], issue)
            return 200, [comment for comment in self.comments if comment["issue"] == issue]
        if (found := re.fullmatch(r"/issues/comments/(\d+)", rest)) and method == "PATCH":
            (comment,) = [comment for comment in self.comments if comment["id"] == int(found[1])]
            comment["body"] = body["body"]
            return 200, comment
        if found := re.fullmatch(r"/commits/(\w+)/pulls", rest):
            return 200, self.pulls.get(found[1], [])
        if (found := re.fullmatch(r"/git/commits/(\w+)", rest)) and found[1] in self.trees:
            return 200, {"sha": found[1], "tree": {"sha": self.trees[found[1]]}}
        if rest == "/actions/workflows/plan.yml/runs":
            chosen = [run for run in self.runs if all(run[key] == asked[key] for key in ("head_sha", "event"))]
            return 200, {"total_count": len(chosen), "workflow_runs": chosen}
        if found := re.fullmatch(r"/actions/runs/(\d+)/artifacts", rest):
            kept = [each for each in self.artifacts.get(int(found[1]), []) if each["name"] == asked["name"]]
            return 200, {"total_count": len(kept), "artifacts": kept}
        if found := re.fullmatch(r"/actions/artifacts/(\d+)/zip", rest):
            return 200, self.stored[int(found[1])]
        return 404, {"message": "Not Found"}


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "null")
            github.requests.append(f"{self.command} {url.path}")
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                return self._send(401, {"message": "Bad credentials"})
            if github.failures and github.failures[0][0] == self.command:
                _, status, headers, said = github.failures.pop(0)
                return self._send(status, {"message": said}, headers)
            status, answer = github.answer(self.command, url.path, asked, body)
            return self._send(status, *self._page(answer, url.path, asked))

        def _page(self, answer: Any, path: str, asked: dict[str, str]) -> tuple[Any, dict[str, str]]:
            if not isinstance(answer, list):
                return answer, {}
            size, page = min(int(asked.get("per_page", 30)), github.page_size), int(asked.get("page", 1))
            more = len(answer) > page * size
            link = f'<{github.address}{path}?per_page={size}&page={page + 1}>; rel="next"'
            return answer[(page - 1) * size : page * size], {"Link": link} if more else {}

        def _send(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815  http.server's names

        def log_message(self, *_: Any) -> None:
            """The test run's output is not an access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""GitHub's REST API with the token of a workflow's job, and the files by which a job passes things on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scripts.console import EXIT_FAILED, CommandError, one_line

PAGE_SIZE = 100  # the most that GitHub gives at once
_TIMEOUT_SECONDS = (5, 30)  # to connect, and between two bytes
_BACKOFF_SECONDS = 0.5  # doubled each time
_PASSING = (500, 502, 503, 504)


class GitHubError(CommandError):
    """GitHub answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step, EXIT_FAILED)
        self.status = status


class GitHub(NamedTuple):
    """One repository, seen with one token."""

    repository: str
    address: str
    session: requests.Session

    def get(self, path: str, **parameters: str | int) -> Any:
        """`path` is relative to the repository; a full address is taken as it is."""
        return self._call("GET", path, params=parameters).json()

    def pages(self, path: str, key: str = "", **parameters: str | int) -> Iterator[Any]:
        """The items of every page of a list; `key` names the list where it is wrapped in an object."""
        answer = self._call("GET", path, params={"per_page": PAGE_SIZE, **parameters})
        while True:
            yield from answer.json()[key] if key else answer.json()
            following = answer.links.get("next")
            if following is None:
                return
            answer = self._call("GET", following["url"])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", path, json=body).json()

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("PATCH", path, json=body).json()

    def download(self, url: str) -> bytes:
        # It redirects to a store; requests does not hand the token on to another host.
        return self._call("GET", url).content

    def login(self) -> str:
        """Who writes with this token. The token of a job is nobody's, and may not ask who it is."""
        try:
            return str(self.get(f"{self.address}/user")["login"])
        except GitHubError as error:
            if error.status == 403:
                return "github-actions[bot]"
            raise

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith(("http://", "https://")) else f"{self.address}/repos/{self.repository}{path}"
        try:
            answer = self.session.request(method, url, timeout=_TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise CommandError(
                f"GitHub can't be reached at {self.address}: {_reason(error)}.",
                "Check the network and GITHUB_API_URL, then run it again.",
                EXIT_FAILED,
            ) from error
        if answer.ok:
            return answer
        raise _refused(self.repository, method, url.removeprefix(self.address), answer)


def open_repository(repository: str = "") -> GitHub:
    """`repository` as owner/name; token and addresses as GitHub Actions sets them. Raises CommandError without them."""
    repository = repository or os.environ.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise CommandError(
            f"{repository!r} is not a repository." if repository else "it is not said which repository is meant.",
            "Give REPOSITORY=owner/name, or set GITHUB_REPOSITORY.",
        )
    token = os.environ.get("GITHUB_TOKEN", "")
    if not token:
        raise CommandError(
            "GITHUB_TOKEN is not set.",
            "In a workflow, give the step `GITHUB_TOKEN: ${{ github.token }}`; elsewhere, `gh auth token` prints one.",
        )
    session = requests.Session()
    session.headers.update(
        {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
    )
    # What may be repeated is repeated: a POST could have been done before it failed.
    passing = Retry(
        4,
        status_forcelist=_PASSING,
        allowed_methods=("GET", "PATCH"),
        backoff_factor=_BACKOFF_SECONDS,
        raise_on_status=False,
        respect_retry_after_header=False,
        redirect=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=passing))
    return GitHub(repository, os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"), session)


def set_output(name: str, value: str) -> None:
    """Hands a value to the later steps of a workflow's job; elsewhere there is nobody to hand it to."""
    if "\n" in value:
        raise ValueError(f"the output {name} has more than one line")
    _append("GITHUB_OUTPUT", f"{name}={value}\n")


def add_to_summary(markdown: str) -> None:
    """Shows text on the page of the workflow's run."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown.rstrip()}\n\n")


def _append(variable: str, text: str) -> None:
    if file := os.environ.get(variable):
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(text)


def _refused(repository: str, method: str, path: str, answer: requests.Response) -> GitHubError:
    try:
        said = one_line(str(answer.json().get("message", "")))
    except (ValueError, AttributeError):
        said = ""
    status = answer.status_code
    what = f"GitHub refused {method} {path} with {status}{f' ({said})' if said else ''}"
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in said.lower()
    if status == 429 or (status == 403 and limited):
        wait = answer.headers.get("retry-after")
        when = f"in {wait} s" if wait else "when the hour of the limit is over"
        return GitHubError(status, f"{what}: too many requests.", f"Run it again {when}.")
    next_step = {
        401: "The token is wrong or has expired: set another GITHUB_TOKEN.",
        403: "Give the job the `permissions` that docs/pipeline.md lists for it.",
        404: f"Check that {repository} has it, and that the token may see that repository.",
    }.get(status, "Run it again; if it stays so, githubstatus.com tells of troubles." if status >= 500 else "")
    return GitHubError(status, f"{what}.", next_step)


def _reason(error: requests.RequestException) -> str:
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return one_line(str(reason))

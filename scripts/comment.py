"""Shows the plans of a pull request in one comment, kept up to date: `python -m scripts.comment --pr NUMBER`."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from scripts import github_api, paths, plan_bundle
from scripts.console import CommandError, out, run, step
from scripts.github_api import GitHub, GitHubError

MARK = "<!-- lambda-agent-state: plans of this pull request -->"
LIMIT_CHARACTERS = 65_536  # GitHub refuses a longer comment
PLAN = "plan.md"
_ATTEMPTS = 3
_CUT = "\n_Cut here, as a comment has its limit: the whole plan is in the log and in the artifact of {run}._\n"
# A downloaded artifact's folder has the artifact's name: the environment's, between these.
_FOLDER = re.compile(r"(?:plan-)?(?P<environment>.+?)(?:-[0-9a-f]{40})?")


class Plan(NamedTuple):
    """One environment's plan; `digest` is its bundle's SHA-256, "" where the guard let none be sealed."""

    text: str
    digest: str | None = None


def plans(expected: Iterable[str] = ()) -> dict[str, Plan]:
    """Every `.build/*/plan.md` by environment, and what to say of those expected that have none."""
    found = {}
    for file in sorted(paths.BUILD.glob(f"*/{PLAN}")):
        folder = _FOLDER.fullmatch(file.parent.name)
        bundle = file.with_name(plan_bundle.FILE)
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest() if bundle.exists() else ""
        found[folder["environment"] if folder else file.parent.name] = Plan(file.read_text(), digest)
    lost = "**There is no plan**: its job failed before it had one."
    missing = {name: Plan(f"### {name}\n\n{lost}\n") for name in expected}
    return dict(sorted((missing | found).items()))


def body(shown: Mapping[str, Plan], commit: str = "", run_url: str = "") -> str:
    """The comment, within GitHub's limit: the longest plans are cut first, each at the end of a line."""
    of = f" of {commit[:12]}" if commit else ""
    this_run = f"[this run]({run_url})" if run_url else "the run"
    head = f"{MARK}\n{_named(shown, commit)}## What an apply{of} would change\n\n"
    texts = {name: plan.text for name, plan in shown.items()}
    foot = f"\n_Made by {this_run}; a new commit replaces it._\n"
    room = LIMIT_CHARACTERS - len(head) - len(foot) - len(texts)
    given: dict[str, int] = {}
    for name in sorted(texts, key=lambda name: len(texts[name])):
        share = room // (len(texts) - len(given))
        given[name] = min(len(texts[name]), share)
        room -= given[name]
    note = _CUT.format(run=this_run)
    return head + "\n".join(_cut(text, given[name], note) for name, text in texts.items()) + foot


def _named(shown: Mapping[str, Plan], commit: str) -> str:
    """What `make fetch-bundle` believes: the bundles that the reviewers of this commit were shown."""
    named = {name: plan.digest for name, plan in shown.items() if plan.digest is not None}
    return "".join(_name(name, commit) + f"{digest} -->\n" for name, digest in named.items()) if commit else ""


def _name(environment: str, commit: str) -> str:
    return f"<!-- bundle of {environment} at {commit}: "


def named_bundle(comment: Mapping[str, Any] | None, environment: str, commit: str) -> str | None:
    """The SHA-256 of the bundle that a comment shows, "" or None where it shows none."""
    lines = str(comment["body"]).splitlines() if comment else []
    start = _name(environment, commit)
    # The plans themselves follow the heading: what they say is not the comment's word.
    head = lines[1 : next((n for n, line in enumerate(lines) if line.startswith("## ")), 1)]
    return next((line.removeprefix(start).removesuffix("-->").strip() for line in head if line.startswith(start)), None)


def _cut(text: str, limit: int, note: str) -> str:
    """The text's first lines, with what they leave open closed."""
    if len(text) <= limit:
        return text
    kept: list[str] = []
    length, fence, folded = len(note), "", 0
    for line in text.splitlines(keepends=True):
        ticks = re.match(r" {0,3}(`{3,})\s*(\S*)", line)
        now_fence, now_folded = fence, folded
        if ticks and not fence:
            now_fence = ticks[1]
        elif ticks and len(ticks[1]) >= len(fence) and not ticks[2]:
            now_fence = ""
        elif not fence:
            now_folded += line.count("<details") - line.count("</details>")
        if length + len(line) + len(_closing(now_fence, now_folded)) > limit:
            break
        kept.append(line)
        length, fence, folded = length + len(line), now_fence, now_folded
    return "".join(kept) + _closing(fence, folded) + note


def _closing(fence: str, folded: int) -> str:
    return (f"\n{fence}\n" if fence else "") + "\n</details>\n" * folded


def find(github: GitHub, pull_request: int) -> dict[str, Any] | None:
    """The comment of an earlier run: what somebody else wrote, or pasted, is not ours to change or to believe."""
    login = github.login()
    for comment in github.pages(f"/issues/{pull_request}/comments"):
        author = (comment.get("user") or {}).get("login")
        if author == login and (comment.get("body") or "").startswith(MARK):
            return dict(comment)
    return None


def publish(github: GitHub, pull_request: int, text: str) -> tuple[str, str]:
    """Writes the comment; returns what was done and the comment's address."""
    for attempt in range(1, _ATTEMPTS + 1):
        mine = find(github, pull_request)
        if mine:
            return "updated", str(github.patch(f"/issues/comments/{mine['id']}", {"body": text})["html_url"])
        try:
            return "created", str(github.post(f"/issues/{pull_request}/comments", {"body": text})["html_url"])
        except GitHubError as error:
            # It may have been made all the same: look again before making another one.
            if error.status < 500 or attempt == _ATTEMPTS:
                raise
    raise AssertionError  # pragma: no cover  the loop returns or raises


def main(
    pr: Annotated[int, typer.Option(min=1, help="The pull request's number.")],
    repository: Annotated[str, typer.Option(help="owner/name; default: GITHUB_REPOSITORY.")] = "",
    commit: Annotated[str, typer.Option(help="The commit that was planned, for the heading.")] = "",
    expect: Annotated[str, typer.Option(help="Environments that must have a plan, separated by blanks.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the comment instead.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Post what every plan under .build/ would change as one comment, or update the one that is there."""
    shown = plans(expect.split())
    if not shown:
        raise CommandError("there is no plan to show (.build/*/plan.md).", "Run `make plan ENV=<name>` first.")
    server, actions_run = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_RUN_ID", "")
    url = f"{server}/{os.environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{actions_run}" if actions_run else ""
    text = body(shown, commit, url)
    if dry_run:
        out.print(text, markup=False)
        return
    with step(f"comment on pull request {pr}"):
        done, address = publish(github_api.open_repository(repository), pr, text)
    if json_output:
        out.print_json(data={"pull_request": pr, "done": done, "url": address, "environments": list(shown)})
    else:
        out.print(f"{done}: {address}", markup=False)


if __name__ == "__main__":
    run(main)

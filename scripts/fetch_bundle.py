"""Gets the plan that was reviewed in a pull request: `python -m scripts.fetch_bundle --env NAME --commit SHA`."""

import hashlib
import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Annotated, Any, NamedTuple

import typer

from scripts import comment, environments, github_api, plan_bundle
from scripts.comment import PLAN
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.github_api import GitHub

WORKFLOW, BUNDLE = "plan.yml", plan_bundle.FILE


class Reviewed(NamedTuple):
    """What was reviewed; `digest` is the bundle's SHA-256."""

    pull_request: int
    commit: str
    plan: bytes
    bundle: bytes
    digest: str
    changes: bool


def fetch(github: GitHub, environment: str, merged: str) -> Reviewed:
    """The reviewed plan of the pull request that became the commit `merged`.

    Raises CommandError unless the merge holds exactly what was planned, the plan succeeded, and its bundle is the one
    that the pull request's comment names.
    """
    pull_request = _pull_request(github, merged, environment)
    number, head = int(pull_request["number"]), str(pull_request["head"]["sha"])
    if _tree(github, head) != _tree(github, merged):
        raise _refused(
            f"commit {merged[:12]} holds more than was planned in pull request {number}: the branch was not up to "
            "date when it was merged.",
            environment,
        )
    files = _artifact(github, _run(github, number, head, environment), environment, head)
    bundle = files.get(BUNDLE, b"")
    digest = hashlib.sha256(bundle).hexdigest()
    named = comment.named_bundle(comment.find(github, number), environment, head)
    if not named:
        raise _refused(f"the comment on pull request {number} names no bundle of commit {head[:12]}.", environment)
    if named != digest:
        raise _refused(
            f"the bundle that was kept for pull request {number} is not the one that its comment names.", environment
        )
    changes = bool(plan_bundle.unseal(bundle).facts["changes"])
    return Reviewed(number, head, files.get(PLAN, b""), bundle, digest, changes)


def _pull_request(github: GitHub, merged: str, environment: str) -> dict[str, Any]:
    for found in github.pages(f"/commits/{merged}/pulls"):
        if found["merged_at"] and found["merge_commit_sha"] == merged:
            if (found["head"]["repo"] or {}).get("full_name") != github.repository:
                raise _refused(
                    f"pull request {found['number']} came from a fork, whose commits are not planned.",
                    environment,
                )
            return dict(found)
    raise _refused(f"commit {merged[:12]} came from no pull request, so no plan of it was reviewed.", environment)


def _tree(github: GitHub, commit: str) -> str:
    return str(github.get(f"/git/commits/{commit}")["tree"]["sha"])


def _run(github: GitHub, number: int, head: str, environment: str) -> dict[str, Any]:
    """The newest run that planned the commit, from this repository's own branch."""
    runs = [
        found
        for found in github.pages(
            f"/actions/workflows/{WORKFLOW}/runs", key="workflow_runs", head_sha=head, event="pull_request"
        )
        if (found["head_repository"] or {}).get("full_name") == github.repository
    ]
    if not runs:
        raise _refused(f"commit {head[:12]} of pull request {number} was never planned.", environment)
    newest: dict[str, Any] = max(runs, key=lambda found: int(found["run_number"]))
    if newest["status"] != "completed":
        raise CommandError(
            f"the plan of pull request {number} is still {newest['status']}.",
            f"Run this job again when {newest['html_url']} is done.",
            EXIT_FAILED,
        )
    if newest["conclusion"] != "success":
        raise _refused(
            f"the plan of pull request {number} ended with {newest['conclusion']} ({newest['html_url']}).", environment
        )
    return newest


def _artifact(github: GitHub, planned: dict[str, Any], environment: str, head: str) -> dict[str, bytes]:
    name = f"plan-{environment}-{head}"
    kept = [
        found
        for found in github.pages(f"/actions/runs/{planned['id']}/artifacts", key="artifacts", name=name)
        if found["name"] == name
    ]
    if not kept:
        raise _refused(f"{planned['html_url']} kept no plan of {environment!r}.", environment)
    newest = max(kept, key=lambda found: str(found["created_at"]))
    if newest["expired"]:
        raise _refused(f"the plan kept by {planned['html_url']} has expired.", environment)
    content = github.download(newest["archive_download_url"])
    stated = str(newest.get("digest") or "")
    if stated and stated != f"sha256:{hashlib.sha256(content).hexdigest()}":
        raise CommandError(f"artifact {name} arrived damaged.", "Run it again.", EXIT_FAILED)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {
                PurePosixPath(member).name: archive.read(member)
                for member in archive.namelist()
                if PurePosixPath(member).name in (PLAN, BUNDLE)
            }
    except zipfile.BadZipFile as error:
        raise CommandError(f"artifact {name} is not a zip: {error}.", "Run it again.", EXIT_FAILED) from error


def _refused(message: str, environment: str) -> CommandError:
    return CommandError(
        f"{message} Nothing is applied.",
        f"Run the workflow `apply` by hand for {environment}: it plans anew, and asks for approval.",
        EXIT_FAILED,
    )


def main(
    env: Annotated[str, typer.Option(help="The environment that was planned.")],
    commit: Annotated[str, typer.Option(help="The commit that the merge made, in full.")],
    repository: Annotated[str, typer.Option(help="owner/name; default: GITHUB_REPOSITORY.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print what was got as JSON.")] = False,
) -> None:
    """Get the bundle that was reviewed in the pull request of a merged commit, for `make apply`."""
    environment = environments.load(env)
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise CommandError(f"COMMIT={commit!r} is not a commit.", "Give all 40 digits: `git rev-parse main`.")
    bundle, plan = environment.build_dir / BUNDLE, environment.build_dir / PLAN
    bundle.unlink(missing_ok=True)
    with step("get the reviewed plan"):
        reviewed = fetch(github_api.open_repository(repository), env, commit)
    environment.build_dir.mkdir(parents=True, exist_ok=True)
    plan.write_bytes(reviewed.plan)
    plan_bundle.write(bundle, reviewed.bundle)
    github_api.add_to_summary(reviewed.plan.decode())
    github_api.set_output("commit", reviewed.commit)
    # Without changes nobody is asked for approval.
    github_api.set_output("digest", reviewed.digest if reviewed.changes else "")
    if json_output:
        out.print_json(
            data={
                "environment": env,
                "pull_request": reviewed.pull_request,
                "commit": reviewed.commit,
                "changes": reviewed.changes,
                "bundle": str(bundle),
                "digest": reviewed.digest,
            }
        )
    elif reviewed.changes:
        out.print(f"plan of pull request {reviewed.pull_request}, commit {reviewed.commit}: ", end="")
        out.print(f"make apply ENV={env} BUNDLE={environments.shown(bundle)} DIGEST={reviewed.digest}")
    else:
        out.print(f"pull request {reviewed.pull_request} changes nothing in {env}: there is nothing to apply.")


if __name__ == "__main__":
    run(main)

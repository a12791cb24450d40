"""Plans an environment: `python -m scripts.plan --env NAME`."""

import re
from typing import Annotated, Any

import typer

from scripts import cost_change, environments, github_api, plan_bundle, plan_guard, rendering, stack
from scripts.console import EXIT_FAILED, CommandError, err, out, run
from scripts.plan_guard import Review
from scripts.stack import Stack
from scripts.terraform_cli import require_terraform

REPORT = "plan.md"
_TEXT_CHARACTERS = 50_000  # GitHub takes comments of 65,536


def main(
    env: Annotated[str, typer.Option(help="The environment to plan.")],
    allow: Annotated[str, typer.Option(help='Findings of the guard to let through: "rule:address …".')] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print the counts of changes as JSON.")] = False,
) -> None:
    """Show what an apply would change, hold it against the guard, and seal it for `make apply`. Changes nothing."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        report = opened.environment.build_dir / REPORT
        for earlier in (opened.bundle_file, report):
            earlier.unlink(missing_ok=True)
        stack.initialise(opened)
        replaced = sorted(stack.replaced_code(opened))
        changes = stack.plan(opened)
        try:
            planned, text = opened.terraform.show(opened.plan_file), opened.terraform.show_text(opened.plan_file)
            counts = stack.counts(planned)
            review = plan_guard.review(planned, allow, opened.environment.guard_allow)
            cost = cost_change.of_plan(planned, opened.environment.region)
            # Putting code back makes a version that this plan doesn't know.
            sealed = not replaced and not review.refused
            sources = plan_bundle.source_facts()
            digest = _seal(opened, planned, text, review, sources, changes=changes) if sealed else None
        finally:
            opened.plan_file.unlink(missing_ok=True)
        markdown = rendering.render(
            "plan.md.j2",
            environment=env,
            **opened.facts(),
            changes=changes,
            counts=counts,
            replaced=replaced,
            notes=stack.rollback_notes(opened),
            review=review,
            cost=cost.line(),
            digest=digest,
            commit=sources["commit"],
            dirty=sources["dirty"],
            **_fenced(text),
        )
        rendering.write(report, markdown)
        github_api.add_to_summary(markdown)
        # Without changes nobody is asked for approval.
        github_api.set_output("digest", digest if digest and changes else "")
    if json_output:
        out.print_json(
            data={
                "environment": env,
                "changes": changes,
                **counts,
                "guard": review.facts(),
                "cost": cost.facts(),
                "bundle": str(opened.bundle_file) if digest else None,
                "digest": digest,
                "deployed_code": {"replaced": replaced},
            }
        )
    else:
        _show(opened, text, review, cost.line(), digest, changes=changes)
    if replaced:
        raise CommandError(
            f"the code of {', '.join(replaced)} was replaced outside Terraform: this plan is not sealed.",
            f"`make apply ENV={env}` asks, puts the code back, and plans anew.",
            EXIT_FAILED,
        )
    plan_guard.require_allowed(review, env)


def _seal(
    opened: Stack, planned: dict[str, Any], text: str, review: Review, sources: dict[str, Any], *, changes: bool
) -> str:
    """Writes the bundle; returns its digest."""
    lineage, serial = opened.terraform.state_version()
    facts = {
        "environment": opened.environment.name,
        **opened.facts(),
        "terraform_version": require_terraform(),
        "state_lineage": lineage,
        "state_serial": serial,
        "changes": changes,
        "counts": stack.counts(planned),
        "guard": review.facts(),
        **sources,
    }
    members = {
        plan_bundle.PLAN: opened.plan_file.read_bytes(),
        plan_bundle.PLAN_JSON: rendering.json_text(planned).encode(),
        plan_bundle.PLAN_TEXT: text.encode(),
        plan_bundle.VARIABLES: opened.files["variables"].read_bytes(),
        plan_bundle.LOCK_FILE: plan_bundle.lock_file(),
        **plan_bundle.functions(),
    }
    return plan_bundle.write(opened.bundle_file, plan_bundle.seal(facts, members))


def _fenced(text: str) -> dict[str, str]:
    """The plan for Markdown, with a fence that it can't close."""
    shown = text.strip()
    if len(shown) > _TEXT_CHARACTERS:
        kept = shown[:_TEXT_CHARACTERS].rpartition("\n")[0]
        shown = f"{kept}\n… {len(shown) - len(kept)} more characters: see the log, or plan.txt in the bundle"
    longest = max(map(len, re.findall("`+", shown)), default=0)
    return {"fence": "`" * max(3, longest + 1), "text": shown}


def _show(opened: Stack, text: str, review: Review, cost: str, digest: str | None, *, changes: bool) -> None:
    env = opened.environment.name
    out.print(text.strip(), markup=False)
    plan_guard.show(review)
    out.print(f"\n{cost}", markup=False)
    if digest:
        applies = "applies exactly this plan" if changes else "finds nothing to apply"
        out.print(
            f"Sealed in {environments.shown(opened.bundle_file)}: `make apply ENV={env}` {applies}.", markup=False
        )
        out.print(f"DIGEST={digest}")
    err.print(opened.place)


if __name__ == "__main__":
    run(main)

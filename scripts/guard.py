"""Holds any plan against the guard: `terraform show -json tfplan | python -m scripts.guard`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import environments, plan_guard
from scripts.console import CommandError, out, run

_STDIN = "-"


def main(
    plan: Annotated[str, typer.Option(help="What `terraform show -json` printed; - for standard input.")] = _STDIN,
    env: Annotated[str, typer.Option(help="An environment, whose file's [guard] allow then counts, too.")] = "",
    allow: Annotated[str, typer.Option(help='Findings to let through: "rule:address …".')] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Tell what a plan would do to data and to doors, and refuse it. `make plan` does this by itself."""
    planned = _planned(plan)
    review = plan_guard.review(planned, allow, environments.load(env).guard_allow if env else ())
    if json_output:
        out.print_json(data=review.facts())
    else:
        plan_guard.show(review)
        if not review.refused and not review.let_through:
            out.print("The guard found nothing.")
    plan_guard.require_allowed(review, env or "<name>")


def _planned(plan: str) -> dict[str, Any]:
    how = "Make one with `terraform show -json <plan file>`."
    try:
        planned = json.loads(sys.stdin.read() if plan == _STDIN else Path(plan).read_text())
    except OSError as error:
        raise CommandError(f"{plan} can't be read: {error.strerror}.", how) from error
    except ValueError as error:
        raise CommandError(f"{'standard input' if plan == _STDIN else plan} holds no plan as JSON.", how) from error
    if not isinstance(planned, dict) or ("resource_changes" not in planned and "planned_values" not in planned):
        raise CommandError("this JSON is no plan.", how)
    return planned


if __name__ == "__main__":
    run(main)

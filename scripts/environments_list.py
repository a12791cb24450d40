"""Lists the environments for a pipeline: `python -m scripts.environments_list [--env NAME] [--json]`."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from scripts import environments, github_api, paths
from scripts.console import CommandError, out, run


def described(name: str) -> dict[str, Any] | None:
    """What a workflow needs to know of an environment; None for one that lives on this machine."""
    environment = environments.load(name)
    if environment.embedded:
        return None
    account = environment.account_id
    known = bool(account and environment.github)
    return {
        "name": name,
        "region": environment.region,
        "account_id": account or None,
        "plan_role_arn": environment.role_arn("plan", account) if known else None,
        "apply_role_arn": environment.role_arn("apply", account) if known else None,
    }


def main(
    env: Annotated[str, typer.Option(help="Only this one.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print all, as a list.")] = False,
) -> None:
    """List the environments on AWS. In a workflow, those that it can sign in to are its output `environments`."""
    names = [env] if env else sorted(path.stem for path in paths.ENVIRONMENTS.glob("*.toml"))
    rows = [row for row in map(described, names) if row]
    ready = [row for row in rows if row["plan_role_arn"]]
    if env and not ready:
        raise CommandError(
            f"no workflow can sign in to environment {env!r}.",
            f"Write [aws] account_id and [github] repository into its file, then `make bootstrap ENV={env}`.",
        )
    github_api.set_output("environments", json.dumps(ready))
    if json_output:
        out.print_json(data=rows)
        return
    table = Table("environment", "region", "account", "pipeline", box=None, pad_edge=False)
    for row in rows:
        missing = " and ".join(
            part
            for part, there in (
                ("[aws] account_id", row["account_id"]),
                ("[github]", environments.load(row["name"]).github),
            )
            if not there
        )
        pipeline = escape(f"needs {missing}") if missing else "yes"
        table.add_row(row["name"], row["region"], row["account_id"] or "any", pipeline)
    out.print(table)


if __name__ == "__main__":
    run(main)

"""Tells what runs on this machine: `python -m scripts.status`."""

from typing import Annotated, Any

import typer
from rich.table import Table

from scripts import aws, environments, up
from scripts.api_client import reachable_url
from scripts.console import out, run
from scripts.local_aws import control


def main(
    json_output: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show the embedded AWS, the API's address, and the tables and functions that it holds."""
    running = control.status(aws.LOCAL_AWS_DIR)
    report: dict[str, Any] = {"running": running is not None}
    if running:
        aws.use(environments.load(up.ENVIRONMENT))
        report |= {"pid": running.pid, "endpoint_url": running.endpoint_url, **_held()}
    if json_output:
        out.print_json(data=report)
    elif not running:
        out.print("the embedded AWS is not running; start it with `make up`")
    else:
        _show(report)


def _held() -> dict[str, Any]:
    dynamodb, functions, apis = aws.client("dynamodb"), aws.client("lambda"), aws.client("apigatewayv2")
    return {
        "api_urls": [reachable_url(api["ApiEndpoint"]) for api in apis.get_apis()["Items"]],
        "tables": [
            {"name": name, "status": table["TableStatus"], "items": table["ItemCount"]}
            for name in dynamodb.list_tables()["TableNames"]
            for table in [dynamodb.describe_table(TableName=name)["Table"]]
        ],
        "functions": [
            {"name": function["FunctionName"], "state": function.get("State", "Active"), "version": function["Version"]}
            for page in functions.get_paginator("list_functions").paginate()
            for function in page["Functions"]
        ],
    }


def _show(report: dict[str, Any]) -> None:
    out.print(f"embedded AWS  {report['endpoint_url']}  process {report['pid']}")
    for url in report["api_urls"]:
        out.print(f"API           {url}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "name", "state", "items"):
        table.add_column(column)
    for found in report["tables"]:
        table.add_row("table", found["name"], found["status"], str(found["items"]))
    for found in report["functions"]:
        table.add_row("function", found["name"], found["state"], "")
    out.print(table)


if __name__ == "__main__":
    run(main)

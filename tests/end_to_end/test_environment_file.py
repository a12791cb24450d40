"""`make env`: what an application needs to use the stack, in one file, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import dotenv

from tests.end_to_end.checkout import Checkout

# A stock client, told nothing: no endpoint, region, credentials or table in the program.
READ_AN_AGENT = """
import json, os, sys
import boto3
key = {"agentId": {"S": sys.argv[1]}}
item = boto3.client("dynamodb").get_item(TableName=os.environ["AGENT_REGISTRY_TABLE_NAME"], Key=key)["Item"]
print(json.dumps({"name": item["name"]["S"], "address": os.environ["API_URL"]}))
"""


def test_a_stock_client_configured_by_the_file_alone_reads_a_table(running_stack: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "application.env"
    assert running_stack.must("env", "ENV=local", f"OUTPUT={file}") == ""
    status, _, _ = running_stack.call(
        "POST",
        "/agents/register",
        {"profile": {"id": "by-file", "name": "By file", "endpoint": "https://a.example", "capabilities": []}},
    )
    assert status == 201
    read = subprocess.run(
        ["sh", "-c", f'set -a; . "{file}"; exec "{sys.executable}" - by-file'],
        input=READ_AN_AGENT,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    running_stack.call("DELETE", "/agents/by-file")
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout) == {"name": "By file", "address": f"http://127.0.0.1:{running_stack.api_port}"}


def test_the_tables_that_it_names_are_there(running_stack: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "application.env"
    running_stack.must("env", f"OUTPUT={file}", "SYSTEM=chat_sessions")
    named = dotenv.dotenv_values(file)
    assert (named["DYNAMODB_TABLE_NAME"], named["USE_DYNAMODB"]) == ("chat_sessions", "true")
    tables = {value for name, value in named.items() if name.endswith(("_TABLE_NAME", "_TABLE"))}
    assert {"AgentRegistry", "ai-agent-sessions", "ai-agent-messages", "chat_sessions"} <= tables
    assert tables <= set(running_stack.client("dynamodb").list_tables()["TableNames"])
    printed = running_stack.run(".venv/bin/python", "-m", "scripts.env", "--env", "local", "--json")
    assert json.loads(printed.stdout).items() >= named.items()


def test_a_file_of_somebody_elses_is_left_alone(running_stack: Checkout, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SECRET=mine\n")
    refused = running_stack.make("env", f"OUTPUT={file}")
    assert refused.exit_code != 0
    assert "was not written by `make env`" in refused.stderr
    assert file.read_text() == "SECRET=mine\n"
    for more in (["FORCE=1"], []):  # and then it is ours
        running_stack.must("env", f"OUTPUT={file}", *more)
        assert "SECRET" not in dotenv.dotenv_values(file)
    unknown = running_stack.make("env", "SYSTEM=chat_session")
    assert "there is no system 'chat_session'" in unknown.stderr


def test_names_are_also_published_where_other_stacks_look(running_stack: Checkout) -> None:
    pages = running_stack.client("ssm").get_paginator("get_parameters_by_path")
    published = {
        parameter["Name"]: parameter["Value"]
        for page in pages.paginate(Path="/agent-state/local", Recursive=True)
        for parameter in page["Parameters"]
    }
    assert published["/agent-state/local/agent_sessions/tables/sessions"] == "ai-agent-sessions"
    assert published["/agent-state/local/agent_sessions/tables/messages"] == "ai-agent-messages"
    assert published["/agent-state/local/agent_registry/function"] == running_stack.function_name("agent_registry")

"""`make load`: many clients at once on all systems, and afterwards all that was acknowledged is there."""

import json

from scripts.load import DEFAULT_CLIENTS, DEFAULT_SECONDS
from tests.end_to_end.checkout import Checkout
from tests.recording_guarantees import Guarantee

SYSTEMS = {"agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store"}
# Environments that served enough to tell whether their memory grows
LEAST_JUDGED = 20


def test_nothing_is_lost_and_memory_stays_flat(running_stack: Checkout, guarantee: Guarantee) -> None:
    before = counts(running_stack)
    ended = running_stack.make("load", "JSON=1")
    told = json.loads(ended.stdout)
    guarantee("load", clients=told["clients"], seconds=told["seconds"])
    for figures in told["systems"].values():
        names = ("requests", "failed", "throttled", "checked", "lost", "duplicates", "lost_updates", "wrong")
        guarantee("load", **{name: figures[name] for name in names})
    judged = sum(growth["environments"] for growth in told["memory"].values())
    growing = [name for name, growth in told["memory"].items() if growth["growing"]]
    guarantee("load", environments_sampled=judged, functions_that_grow=len(growing))
    assert [figures["problems"] for figures in told["systems"].values() if figures["problems"]] == []
    assert ended.exit_code == 0, ended.stderr
    assert (told["clients"], told["seconds"]) == (DEFAULT_CLIENTS, DEFAULT_SECONDS)
    assert set(told["systems"]) == set(told["memory"]) == SYSTEMS
    for figures in told["systems"].values():
        assert figures["checked"] > figures["clients"]
        assert set(figures["statuses"]) <= {"200", "201", "204", "404", "412"}
    assert growing == []
    assert judged >= LEAST_JUDGED
    assert counts(running_stack) == before, "all that it wrote is removed"


def counts(stack: Checkout) -> dict[str, int]:
    """How many items each table has. Idempotency markers expire by themselves."""
    dynamodb = stack.client("dynamodb")
    tables = [name for name in dynamodb.list_tables()["TableNames"] if not name.endswith("-idempotency")]
    return {
        table: sum(page["Count"] for page in dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT"))
        for table in tables
    }


def test_what_is_no_system_is_refused_in_one_line(running_stack: Checkout) -> None:
    ended = running_stack.make("load", "SYSTEM=cats")
    assert "there is no system 'cats'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.exit_code == 2

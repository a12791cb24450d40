"""A system leaves its tables and comes back; its tables are drilled, and really restored as the runbook says."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.checkout import Checkout, wait_for
from tests.end_to_end.pasting import paste

SYSTEM = "SYSTEM=pet_store"
SWEETY = {"name": "Sweety", "type": "frog", "price": 20}

# What Terraform has to look at is kept small.
SETTINGS = """
systems = ["pet_store"]
alarms = { enabled = false }
enable_dashboard = false
"""


@pytest.fixture(scope="module")
def stack(checkout: Checkout) -> Checkout:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    file.write_text(file.read_text() + SETTINGS)
    checkout.must("up")
    status, _, pet = checkout.call("POST", "/pets", SWEETY)
    assert (status, pet["id"]) == (201, 16)
    return checkout


def items(stack: Checkout, table: str = "PetStore") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    return sorted(found, key=lambda item: int(item["id"]["N"]))


def persistence(stack: Checkout) -> str:
    file = stack.folder / "terraform" / "environments" / "local.toml"
    return "".join(line for line in file.read_text().splitlines() if line.startswith("persistence"))


def test_a_system_answers_from_memory_and_then_from_its_table_again(stack: Checkout) -> None:
    before = items(stack)
    asked = stack.make("rollback-to-memory", SYSTEM)
    assert asked.exit_code == 2
    assert "what PetStore" in asked.stderr
    assert "nobody is here to agree" in asked.stderr
    assert persistence(stack) == ""

    left = stack.make("rollback-to-memory", SYSTEM, "YES=1")
    assert left.exit_code == 0, left.stderr
    said, applied = (left.stderr.index(text) for text in ("gone with its execution environment", "apply: pet_store"))
    assert said < applied
    assert persistence(stack) == 'persistence = {pet_store = "memory"}'
    status, _, pet = stack.call("POST", "/pets", SWEETY)
    assert (status, pet) == (201, {"id": 16, **SWEETY, "version": 1})
    assert len(stack.call("GET", "/pets?limit=100")[2]["pets"]) == 16
    assert items(stack) == before
    again = stack.must("rollback-to-memory", SYSTEM, "YES=1")
    assert "already; nothing was changed" in again

    assert "commit it" in stack.must("back-to-dynamodb", SYSTEM, "YES=1")
    assert persistence(stack) == ""
    assert items(stack) == before
    assert stack.call("GET", "/pets/16")[2]["name"] == "Sweety"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_drill_that_is_ended_deletes_its_copy(stack: Checkout, ending: signal.Signals) -> None:
    def tables() -> list[str]:
        return [name for name in stack.client("dynamodb").list_tables()["TableNames"] if "-drill-" in name]

    command = (".venv/bin/python", "-m", "scripts.drill", "--env", "local", "--system", "pet_store")
    drill = stack.start(*command)
    try:
        wait_for(tables, "a copy")
        drill.send_signal(ending)
        _, told = drill.communicate(timeout=60)
    finally:
        drill.kill()
    assert drill.returncode == 130, told
    assert tables() == []


def test_a_table_is_restored_as_the_runbook_says(stack: Checkout, tmp_path: Path) -> None:
    """All its commands up to the verification, as they stand in it."""
    stack.must("drill", SYSTEM)
    runbook = (stack.folder / ".build" / "local" / "restore-runbook-pet_store.md").read_text()
    steps = [_blocks(step) for step in re.split(r"^## ", runbook, flags=re.MULTILINE)]
    (tmp_path / "names.diff").write_text(steps[4].pop())
    (new,) = re.findall(r"--target-table-name (\S+)", steps[2][0])

    def follow(*commands: str) -> None:
        done = paste(stack, "\n".join([*steps[1][1:], *commands]), tmp_path)
        assert done.exit_code == 0, f"{done.stdout}\n{done.stderr}"

    follow(*steps[2], *steps[3])
    # The embedded AWS restores a table as it is at that moment: the damage comes after it.
    stack.client("dynamodb").put_item(TableName="PetStore", Item={"id": {"N": "16"}, "name": {"S": "spoiled"}})
    follow(f"git apply {tmp_path}/names.diff", *steps[5], *steps[6])

    assert stack.call("GET", "/pets/16")[2]["name"] == "Sweety"
    assert items(stack, new)[-1]["name"] == {"S": "Sweety"}
    assert items(stack)[-1]["name"] == {"S": "spoiled"}


def _blocks(text: str) -> list[str]:
    return [str(block) for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)]

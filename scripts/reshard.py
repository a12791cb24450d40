"""Brings what is stored to the shards that are written to: `python -m scripts.reshard --env NAME --system SYSTEM`.

Each table of the system is scanned, and each item that lies elsewhere is moved, if it still is what was read: a
function that writes at the same time is never overwritten, and has put it into its shard itself. Interrupted, the next
run does the rest. docs/scale.md says when it is needed. Pets come into the range of their ids in the same way.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, NamedTuple

import typer

from scripts import applied_state, stack
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.migration import shards
from scripts.migration.calling import DEFAULT_SEGMENTS, Caller, Pace, in_parallel
from scripts.migration.connection import Connections
from scripts.migration.meter import Meter

PAGE = 250


class Part(NamedTuple):
    """What is left of a segment of a table's scan; `counts` of the page that was done last."""

    segment: int
    after: Any
    counts: Counter[str]
    in_use: int


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    system: Annotated[str, typer.Option(help=f"The system: {', '.join(shards.TABLES)}.")],
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many segments are read at once.")] = DEFAULT_SEGMENTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Move nothing; tell what would be.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Move entries and items of a system to the shards that are written to, and tell how many shards are in use.

    Of the pet store: give the pets of older applications the range of their ids, by which they are listed.
    """
    if system not in shards.TABLES:
        gone = "; what it deletes is gone within the hour" if system == "chat_sessions" else ""
        raise CommandError(
            f"{system} has nothing to be moved to other shards{gone}." if system else "no system is named.",
            f"Use SYSTEM={' or SYSTEM='.join(shards.TABLES)}.",
        )
    with stack.exclusive(env):
        opened = stack.open_stack(env)
        systems = stack.applied_systems(opened)
        stack.require_system(opened, systems, system)
        stated = applied_state.read(opened.state_bucket, opened.environment.state_key).outputs.get("shards") or {}
        count = stated.get(system) or shards.OF_ONE_SHARD.get(system)
        if not count:
            raise CommandError(
                f"{system} has no shards in environment {env!r}.", "State them and apply first: docs/scale.md."
            )
        names = {logical: table["name"] for logical, table in systems[system]["tables"].items()}
        results = {
            logical: _reshard(system, logical, names, int(count["write"]), Pace(workers), dry_run=dry_run)
            for logical in shards.TABLES[system]
        }
    in_use = max(result["shards_in_use"] for result in results.values())
    if json_output:
        out.print_json(data={"environment": env, "system": system, "dry_run": dry_run, **count, "tables": results})
    else:
        verb = "would be moved" if dry_run else "moved"
        for logical, result in results.items():
            changed = f", {result['changed_meanwhile']:,} changed meanwhile" if result["changed_meanwhile"] else ""
            out.print(f"{names[logical]}: {result['moved']:,} of {result['examined']:,} {verb}{changed}", markup=False)
        if system not in shards.OF_ONE_SHARD:
            out.print(f"shards in use: {in_use}; written to: {count['write']}, read: {count['read']}")
    if in_use > int(count["read"]):
        raise CommandError(
            f"only {count['read']} shards are read, but {in_use} hold something, which is not found.",
            f"Set read = {in_use}, apply, then run this again.",
            EXIT_FAILED,
        )


def _reshard(
    system: str, logical: str, names: dict[str, str], count: int, pace: Pace, *, dry_run: bool
) -> dict[str, int]:
    """How many items of one table were `examined` and `moved`, and what there is at the end."""
    caller = Caller(Connections(), pace)
    key, move = shards.TABLES[system][logical]
    total: Counter[str] = Counter()
    in_use = 1

    def read(part: Part) -> Part:
        request: dict[str, Any] = {
            "Segment": part.segment, "TotalSegments": pace.workers, "ConsistentRead": True, "Limit": PAGE,
        }  # fmt: skip
        if part.after:
            request["ExclusiveStartKey"] = part.after
        answer = caller.patiently(lambda: caller.database().table(names[logical], key).call("Scan", request))
        counts, in_use = _moved(answer["Items"], caller, names, count, move, dry_run=dry_run)
        return Part(part.segment, answer.get("LastEvaluatedKey"), counts, in_use)

    def settle(part: Part) -> Iterable[Part]:
        nonlocal in_use
        total.update(part.counts)
        in_use = max(in_use, part.in_use)
        return [part] if part.after else []

    with step(f"reshard {names[logical]}") as progress:
        begin = [Part(segment, None, Counter(), 1) for segment in range(pace.workers)]
        in_parallel(pace, begin, read, settle, Meter(progress, 0), lambda part: part.counts["examined"])
    return {name: total[name] for name in ("examined", "moved", "changed_meanwhile")} | {"shards_in_use": in_use}


def _moved(
    items: Iterable[dict[str, Any]],
    caller: Caller,
    names: dict[str, str],
    count: int,
    move: shards.Judge,
    *,
    dry_run: bool,
) -> tuple[Counter[str], int]:
    """Of one page: what came of its items, and the number of shards that they need now."""
    counts: Counter[str] = Counter()
    in_use = 1
    for item in items:
        found = move(item, names, count)
        if found is None:
            continue
        counts["examined"] += 1
        is_there = not found.changes
        if found.changes and not dry_run:
            is_there = caller.patiently(partial(_carry_out, caller, found))
            counts["moved" if is_there else "changed_meanwhile"] += 1
        elif found.changes:
            counts["moved"] += 1
        in_use = max(in_use, found.shard + 1 if is_there else found.before + 1)
    return counts, in_use


def _carry_out(caller: Caller, move: shards.Move) -> bool:
    return shards.carry_out(caller.database(), move.changes)


if __name__ == "__main__":
    run(main)

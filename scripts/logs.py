"""Follows a function's logs: `python -m scripts.logs --env NAME --system SYSTEM`."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from scripts import durations, execution_logs, stack
from scripts.console import CommandError, out, run

POLL_SECONDS = 1.0


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    system: Annotated[str, typer.Option(help="The system whose function's logs to show.")] = "",
    since: Annotated[str, typer.Option(help="How far back to begin: 30s, 10m, 2h, 1d.")] = "10m",
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="Print each line as one JSON object.")] = False,
) -> None:
    """Show a function's logs and follow them until Ctrl-C."""
    begin = int((time.time() - durations.seconds(since)) * 1000)
    opened = stack.open_stack(env)
    systems = stack.outputs(opened).get("systems", {})
    stack.require_system(opened, systems, system)
    log_group = systems[system]["log_group_name"]
    shown: set[str] = set()
    try:
        while True:
            begin = _print_new(log_group, begin, shown, as_json=json_output)
            if not follow:
                return
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return  # the way to end a follow


def _print_new(log_group: str, begin: int, shown: set[str], *, as_json: bool) -> int:
    """Prints events not shown yet; returns the time from which to look next."""
    latest = begin
    try:
        for event in execution_logs.events(log_group, begin):
            if event["eventId"] in shown:
                continue
            shown.add(event["eventId"])
            latest = max(latest, event["timestamp"])
            at, message = datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"].rstrip()
            if as_json:
                line = {
                    "timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
                    "stream": event["logStreamName"],
                    "message": message,
                }
                print(json.dumps(line, ensure_ascii=False), flush=True)
            else:
                out.print(f"{at:%H:%M:%S.%f}"[:-3], message, markup=False)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise CommandError(f"there is no log group {log_group}.", "Is the stack applied?") from error
        raise
    # Lines of other streams may arrive late; look back a little.
    return max(begin, latest - 5000)


if __name__ == "__main__":
    run(main)

"""`python -m scripts.local_aws`: the embedded AWS in the foreground."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from scripts.local_aws.errors import LocalAwsError
from scripts.local_aws.settings import (
    HOST,
    Settings,
    default_api_port,
    default_index_backfill_seconds,
    default_port,
    default_restore_seconds,
)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.local_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=default_port(), help="AWS APIs (default: %(default)s)")
    parser.add_argument("--api-port", type=int, default=default_api_port(), help="HTTP APIs (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".build/local/aws"), help="extracted code (default: %(default)s)"
    )
    parser.add_argument("--idle-eviction", type=float, default=Settings.idle_eviction, metavar="SECONDS")
    parser.add_argument("--init-timeout", type=float, default=Settings.init_timeout, metavar="SECONDS")
    parser.add_argument("--account-concurrency", type=int, default=Settings.account_concurrency)
    parser.add_argument(
        "--async-retry-delays",
        default="1,2",
        metavar="SECONDS,SECONDS",
        help="waits before the retries of asynchronous invocations; on AWS 60,120 (default: %(default)s)",
    )
    parser.add_argument(
        "--index-backfill",
        type=float,
        default=default_index_backfill_seconds(),
        metavar="SECONDS",
        help="how long a new index of an existing table is being filled (default: %(default)s)",
    )
    parser.add_argument(
        "--restore",
        type=float,
        default=default_restore_seconds(),
        metavar="SECONDS",
        help="how long a restored table is being made (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = _arguments(argv)
    settings = Settings(
        data_dir=options.data_dir.resolve(),
        port=options.port,
        api_port=options.api_port,
        idle_eviction=options.idle_eviction,
        init_timeout=options.init_timeout,
        account_concurrency=options.account_concurrency,
        async_retry_delays=tuple(float(delay) for delay in options.async_retry_delays.split(",") if delay),
        index_backfill_seconds=options.index_backfill,
        restore_seconds=options.restore,
    )
    finished = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: finished.set())
    try:
        from scripts.local_aws.server import LocalAws

        aws = LocalAws(settings)
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        return 2
    aws.start()
    print(f"embedded AWS on http://{HOST}:{aws.port}, HTTP APIs on http://{HOST}:{aws.api_port}", flush=True)
    finished.wait()
    aws.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

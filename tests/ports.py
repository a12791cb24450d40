"""Ports for servers that are told theirs."""

import itertools
import os
import socket

# Below those that the system gives out by itself: another connection can't take a port before its server does.
FIRST, LAST = 20000, 32000
MOST_WORKERS = 16
_turns = itertools.count(os.getpid() % 500)


def free_port() -> int:
    """A port that nobody listens at, and that no other worker is given: each has its own share of them."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MOST_WORKERS
    share = range(FIRST + worker, LAST, MOST_WORKERS)
    for turn in itertools.islice(_turns, len(share)):
        port = share[turn % len(share)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no port is free between {FIRST} and {LAST}")

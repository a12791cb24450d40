"""What can be set about the embedded AWS, with the defaults. Light to import: control.py reads it too."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

ACCOUNT_ID = "123456789012"
HOST = "127.0.0.1"
DEFAULT_PORT = 4566
DEFAULT_API_PORT = 4567
DEFAULT_REGION = "eu-north-1"
API_PAGE_PATH = "/docs"  # of the front door, where no route of an API is meant
CLIENT_ACCESS_KEY_ID = "local"
CLIENT_SECRET_ACCESS_KEY = "local"  # noqa: S105 - opens nothing but this emulator on loopback


def default_port() -> int:
    return int(os.environ.get("LOCAL_AWS_PORT") or DEFAULT_PORT)


def default_index_backfill_seconds() -> float:
    return float(os.environ.get("LOCAL_AWS_INDEX_BACKFILL_SECONDS", "0"))


def default_restore_seconds() -> float:
    return float(os.environ.get("LOCAL_AWS_RESTORE_SECONDS", "1"))


def default_api_port() -> int:
    return int(os.environ.get("LOCAL_AWS_API_PORT") or DEFAULT_API_PORT)


@dataclasses.dataclass(frozen=True)
class Settings:
    """One embedded AWS. Times are seconds."""

    data_dir: Path
    port: int = DEFAULT_PORT
    api_port: int = DEFAULT_API_PORT
    init_timeout: float = 10.0
    # AWS keeps an idle environment for some minutes. Here each takes memory, and a verification that follows another
    # has to call so often at once that not one of them is free.
    idle_eviction: float = 60.0
    account_concurrency: int = 1000
    # Lambda waits one minute, then two: nobody waits for that at a desk.
    async_retry_delays: tuple[float, ...] = (1.0, 2.0)
    # How long a new index of an existing table is being filled.
    index_backfill_seconds: float = 0.0
    # How long a restored table is being made.
    restore_seconds: float = 1.0

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

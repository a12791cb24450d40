"""Verifications as `make verify` leaves them, for tests of what is made from them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.verification import FAILED, PASSED
from scripts.verification_history import FILE, Verification

BUDGETS = {"query_milliseconds": 50, "cold_start_milliseconds": 500}


def verification(
    hour: int,
    version: str = "1",
    *,
    environment: str = "staging",
    system: str = "agent_registry",
    warm: Iterable[float] = (3.0, 4.0, 5.0),
    cold: Iterable[float] = (90.0,),
    commit: str | None = "0123456789abcdef0123456789abcdef01234567",
    failed: str = "",
    detail: str = "as it must be",
) -> Verification:
    """One of a system; `failed` names the check that did, for the reason in `detail`."""
    samples: dict[str, dict[str, Any]] = {
        "table AgentRegistry": {},
        "deployed code": {},
        "warm queries": {"query_milliseconds": list(warm)},
        "survives a cold start": {"cold_start_milliseconds": list(cold)},
    }
    checks = [
        {
            "system": system,
            "name": name,
            "status": FAILED if name == failed else PASSED,
            "detail": detail,
            "seconds": 0.1,
            "figures": {},
            "samples": measured,
        }
        for name, measured in samples.items()
    ]
    return {
        "environment": environment,
        "account_id": "123456789012",
        "region": "eu-north-1",
        "began_at": f"2026-11-{20 + hour // 24:02}T{hour % 24:02}:00:00.000000Z",
        "commit": commit,
        "dirty": False,
        "budgets": BUDGETS,
        "releases": {system: {"function_version": version, "code_sha256": f"code-of-{version}="}},
        "passed": not failed,
        "checks": checks,
    }


def write(folder: Path, verifications: Iterable[Verification]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("".join(f"{json.dumps(one)}\n" for one in verifications))

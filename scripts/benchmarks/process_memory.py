"""The most memory that a process has held."""

from pathlib import Path


def peak_megabytes(pid: int) -> float | None:
    """Of resident memory; None where the system keeps no peak."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

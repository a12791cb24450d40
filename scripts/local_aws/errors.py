"""The one exception that the embedded AWS raises at its callers."""

from __future__ import annotations


class LocalAwsError(Exception):
    """Something that a person can mend: what happened, and what to do next."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}".strip())
        self.message = message
        self.next_step = next_step

"""How far a long step is: on a terminal all the time, elsewhere a line now and then, so that a job's log shows it."""

import time

from rich.markup import escape

from scripts.console import Progress, err

_TERMINAL_SECONDS, _LINE_SECONDS = 0.2, 10.0


class Meter:
    def __init__(self, progress: Progress, total: int, unit: str = "records") -> None:
        self._progress, self._total, self._unit = progress, total, unit
        self._began = self._shown = time.monotonic()
        self.done = 0

    def add(self, count: int, note: str = "") -> None:
        self.done += count
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_SECONDS if err.is_terminal else _LINE_SECONDS):
            return
        self._shown = now
        of = f" of {self._total:,}" if self._total else ""
        rate = self.done / max(now - self._began, 0.001)
        left = f", {_span((self._total - self.done) / rate)} to go" if self._total > self.done and rate else ""
        text = f"{self.done:,}{of} {self._unit}, {rate:,.0f}/s{left}{f'; {note}' if note else ''}"
        self._progress.update(text)
        if not err.is_terminal:
            err.print(f"[dim]{escape(self._progress.title)}: {escape(text)}[/dim]")


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

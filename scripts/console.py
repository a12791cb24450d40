"""How every command speaks: progress on stderr, results on stdout, one line for an error, exit codes.

Exit codes: 0 done; 1 a check failed or AWS refused the work; 2 the caller must mend something first; 130 interrupted.
"""

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

LINE_SECONDS = 60.0  # without a terminal: so that a job's log shows that it lives

# Without a terminal, rich would fold tables at 80 columns; logs and pipes take long lines.
out = Console(highlight=False, soft_wrap=True, emoji=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


class CommandError(Exception):
    """Ends a command with one line: what happened and what to do next.

    `exit_code` is EXIT_USAGE when the caller must mend something, EXIT_FAILED when the work itself failed.
    """

    def __init__(self, message: str, next_step: str = "", exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.exit_code = exit_code


class Progress:
    """One step under way; `update` says how far it is."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.started = time.monotonic()
        self._status = err.status(f"{escape(title)} …") if err.is_terminal else None
        self._next_line = self.started + LINE_SECONDS

    def update(self, detail: str) -> None:
        now = time.monotonic()
        if self._status:
            self._status.update(f"{escape(self.title)} … [dim]{escape(detail)}[/dim]")
        elif now >= self._next_line:
            err.print(f"{now - self.started:6.0f} s  {self.title}: {detail}", markup=False)
            self._next_line = now + LINE_SECONDS

    def _close(self, outcome: str) -> None:
        if self._status:
            self._status.stop()
        seconds = time.monotonic() - self.started
        err.print(f"[dim]{seconds:6.1f} s[/dim]  {escape(self.title)}{escape(outcome)}")


@contextmanager
def step(title: str) -> Iterator[Progress]:
    """Shows `title` while the block runs and leaves one line with the time it took."""
    progress = Progress(title)
    if progress._status:
        progress._status.start()
    try:
        yield progress
    except KeyboardInterrupt:
        progress._close(": interrupted")
        raise
    except BaseException:
        progress._close(": failed")
        raise
    progress._close("")


def ask(question: str) -> str:
    """What a person types; "" where nobody can."""
    err.print(question, end=" ", markup=False)
    try:
        return input().strip()
    except EOFError:
        err.print()
        return ""


def one_line(text: str) -> str:
    return " ".join(text.split())


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run(command: Callable[..., None]) -> NoReturn:
    """Runs `command` as a typer program and turns its errors into one line and an exit code."""
    import typer  # takes as long to load as all else here

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(command)
    exit_after(lambda: app(standalone_mode=False))


def exit_after(action: Callable[[], int | None]) -> NoReturn:
    """Ends the process with the action's exit code, and turns its errors into one line and an exit code."""
    # A terminated pipeline job and a closed terminal must clean up like Ctrl-C does.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal or an encoding has no character for, such as a file name that is no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = action()
        if code == EXIT_INTERRUPTED:  # typer has caught it
            err.print("interrupted")
        sys.exit(code or 0)
    except CommandError as error:
        next_step = f" {one_line(error.next_step)}" if error.next_step else ""
        err.print(f"[red]error:[/red] {escape(one_line(error.message))}{escape(next_step)}")
        sys.exit(error.exit_code)
    except (BotoCoreError, ClientError) as error:
        err.print(f"[red]error:[/red] AWS refused: {escape(one_line(str(error)))}")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader went away, as in `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        # typer's own usage errors (an unknown option, a missing value) carry a readable message.
        show = getattr(error, "format_message", None)
        if show is None:
            raise
        err.print(f"[red]error:[/red] {escape(one_line(show()))} Try --help.")
        sys.exit(EXIT_USAGE)

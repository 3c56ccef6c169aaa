"""Progress on a terminal and in logs: bars on one display, a line a minute elsewhere, messages that break no bar."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

log = logging.getLogger(__name__)
LINE_EVERY = 60.0  # seconds


class ConsoleHandler(logging.Handler):
    """Writes messages to stdout, warnings and errors to stderr, as these are at the time: bars replace them."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        try:
            stream.write(self.format(record) + "\n")
            stream.flush()
        except OSError:  # nobody reads any more
            self.handleError(record)


class Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.3g} {task.fields['unit']}/s" if task.speed else "", style="progress.data.speed")


DISPLAY = Progress(
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    Rate(),
    TimeRemainingColumn(),
    console=Console(stderr=True),
    transient=True,
)


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show progress through ``total`` units of ``what`` while the block runs; call what is yielded with units done."""
    if not DISPLAY.console.is_terminal:
        yield _lines(what, total, unit)
        return
    if not DISPLAY.tasks:
        DISPLAY.start()
    task = DISPLAY.add_task(what, total=total, unit=unit)
    try:
        yield lambda done: DISPLAY.advance(task, done)
    finally:
        DISPLAY.remove_task(task)
        if not DISPLAY.tasks:
            DISPLAY.stop()


def _lines(what: str, total: int, unit: str) -> Callable[[int], None]:
    """Count units done, and log how far it is once a minute."""
    started = told = time.monotonic()
    finished = 0

    def advance(done: int) -> None:
        nonlocal finished, told
        finished += done
        now = time.monotonic()
        if now - told >= LINE_EVERY and finished:
            told = now
            left = (now - started) / finished * (total - finished)
            log.info("%s: %d of %d %s, about %.0f s left", what, finished, total, unit, left)

    return advance

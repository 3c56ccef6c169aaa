"""Progress bars on a terminal, a log line each minute elsewhere, and a log handler that does not break the bars."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

log = logging.getLogger(__name__)
LINE_EVERY = 60.0  # seconds


class ConsoleHandler(logging.Handler):
    """Log handler to the current stdout, or stderr for warnings and errors; bars replace both streams."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        try:
            stream.write(self.format(record) + "\n")
            stream.flush()
        except OSError:  # the reading end of a pipe was closed
            self.handleError(record)


class Rate(ProgressColumn):
    """Column of the speed in units per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.3g} {task.fields['unit']}/s" if task.speed else "", style="progress.data.speed")


DISPLAY = Progress(
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(table_column=Column(no_wrap=True)),  # the bar alone gives way on a narrow terminal
    Rate(table_column=Column(no_wrap=True)),
    TimeRemainingColumn(table_column=Column(no_wrap=True)),
    TextColumn("{task.fields[note]}"),
    console=Console(stderr=True),
    redirect_stdout=sys.stdout.isatty(),  # otherwise printed lines belong to a file
    transient=True,
)


class Bar:
    """Progress through units of work; call it with the number of further units done."""

    def __init__(self, what: str, total: int | None, unit: str, done: int) -> None:
        self.what, self.total, self.unit, self.done, self.first = what, total, unit, done, done
        self.note = ""  # text beside the bar
        self.started = self.told = time.monotonic()
        self.task = None
        if DISPLAY.console.is_terminal:
            if not DISPLAY.tasks:
                DISPLAY.start()
            self.task = DISPLAY.add_task(what, total=total, completed=done, unit=unit, note="")

    def __call__(self, done: int) -> None:
        self.done += done
        if self.task is not None:
            DISPLAY.update(self.task, advance=done, note=self.note)
            return
        now = time.monotonic()
        if now - self.told >= LINE_EVERY and self.done > self.first:
            self.told = now
            log.info("%s", self._line())

    def _line(self) -> str:
        line = f"{self.what}: {self.done} {self.unit}"
        if self.total is not None:
            seconds = (self.told - self.started) / (self.done - self.first) * (self.total - self.done)
            line = f"{self.what}: {self.done} of {self.total} {self.unit}, about {seconds:.0f} s left"
        return f"{line}; {self.note}" if self.note else line

    def close(self) -> None:
        """Remove the bar; the display stops with the last one."""
        if self.task is not None:
            DISPLAY.remove_task(self.task)
            if not DISPLAY.tasks:
                DISPLAY.stop()


@contextmanager
def progress(what: str, total: int | None, unit: str, done: int = 0) -> Iterator[Bar]:
    """Show progress through the units of ``what`` while the block runs, and yield the ``Bar`` to advance.

    Args:
        total: number of units; None if unknown.
        done: units completed before.
    """
    bar = Bar(what, total, unit, done)
    try:
        yield bar
    finally:
        bar.close()

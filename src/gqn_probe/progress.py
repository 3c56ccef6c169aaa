"""Progress bars with rates and remaining time, all on one display; nothing where stderr is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


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
    """A bar for ``total`` units of ``what`` while the block runs; call what is given with how many more are done."""
    if not DISPLAY.console.is_terminal:
        yield lambda done: None
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

"""Bars on a terminal, nothing elsewhere, and a clean terminal after an error."""

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.progress import Progress

from gqn_probe import progress as module
from gqn_probe.progress import progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    display = Progress(*module.DISPLAY.columns, console=console, transient=True, auto_refresh=False)
    monkeypatch.setattr(module, "DISPLAY", display)
    yield screen
    assert not display.live.is_started


def test_bars_within_bars_are_shown_together(terminal: io.StringIO) -> None:
    with progress("jobs", 2, "jobs") as outer:
        with progress("encoding", 100, "views") as inner:
            inner(40)
            module.DISPLAY.refresh()
            shown = terminal.getvalue()
        outer(1)
        assert [task.description for task in module.DISPLAY.tasks] == ["jobs"]
    assert "jobs" in shown
    assert "40/100" in shown


def test_an_error_leaves_the_terminal_as_it_was(terminal: io.StringIO) -> None:
    with pytest.raises(ValueError, match="stop"), progress("encoding", 100, "views"):
        raise ValueError("stop")
    assert not module.DISPLAY.tasks
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


def test_a_rate_has_its_unit(terminal: io.StringIO) -> None:
    with progress("encoding", 100, "views") as advance:
        for _ in range(3):
            advance(10)
        module.DISPLAY.refresh()
        assert "views/s" in terminal.getvalue()


def test_a_line_a_minute_where_there_is_no_terminal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 25))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    with caplog.at_level("INFO"), progress("encoding", 100, "views") as advance:
        for _ in range(6):
            advance(10)
    assert [record.getMessage() for record in caplog.records] == [
        "encoding: 30 of 100 views, about 175 s left",
        "encoding: 60 of 100 views, about 100 s left",
    ]


def test_messages_go_to_what_the_streams_are_now(capsys: pytest.CaptureFixture[str]) -> None:
    handler = module.ConsoleHandler()
    log = logging.Logger("test")
    log.addHandler(handler)
    log.info("step %d", 3)
    log.warning("too few")
    assert capsys.readouterr() == ("step 3\n", "too few\n")


def test_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("encoding", 100, "views") as advance:
        advance(100)
    assert capsys.readouterr() == ("", "")

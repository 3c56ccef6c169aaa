"""Summary of a study in the terminal: answers, a row for each count, and where to look next."""

import sys

from rich import box
from rich.console import Console
from rich.table import Table

from gqn_probe.report.study_results import Study
from gqn_probe.results import Result


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{text}\n")


def print_results(study: Study, *, wandb: str = "", console: Console | None = None) -> None:
    """Print the study; ``wandb`` is the address of its run, or the command that syncs it.

    Without a terminal there are no colours and no rules, only aligned columns.
    """
    console = console or Console()
    for answer in study.answers:
        licence = f"Evidence: {answer.licence}." if answer.licence else ""
        for line, font in ((answer.question, "bold"), (answer.text, ""), (answer.details, "dim"), (licence, "dim")):
            if line:
                console.print(line, style=font, markup=False, highlight=False, soft_wrap=not console.is_terminal)
        console.print()
    columns = {
        "accuracy": (study.series("accuracy", probe=study.probe), ".3f"),
        "norm only": (study.series("accuracy", control="norm", probe=study.probe), ".3f"),
        "sample RMSE": (study.reconstruction_series("sample_rmse") or study.reconstruction_series(), ".1f"),
    }
    columns = {name: (rows, digits) for name, (rows, digits) in columns.items() if rows}
    if columns:
        console.print(_table(columns, console))
    for item in study.summary.get("failed", []):
        console.print(f"job {item} failed", style="red", markup=False)
    places = {"report": study.folder / "report.html", "folder": study.folder, "W&B": wandb}
    for name, place in places.items():
        if place:
            console.print(f"{name:<7}{place}", markup=False, highlight=False, soft_wrap=True)


def _table(columns: dict[str, tuple[list[Result], str]], console: Console) -> Table:
    table = Table("count", box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=console.is_terminal)
    table.columns[0].justify = "right"
    for name in columns:
        table.add_column(name, justify="right")
    for count in sorted({row.count for rows, _ in columns.values() for row in rows if row.count is not None}):
        table.add_row(str(count), *(_cell(rows, count, digits) for rows, digits in columns.values()))
    return table


def _cell(rows: list[Result], count: int, digits: str) -> str:
    return next((format(row.value, digits) for row in rows if row.count == count), "")

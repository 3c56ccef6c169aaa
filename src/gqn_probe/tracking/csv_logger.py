"""Logger to ``metrics.csv``: one row for each logged step, written at once, continued by a resumed run.

Lightning's CSVLogger deletes the file of an earlier run in the same folder, and keeps the last rows in memory.
"""

import csv
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from gqn_probe.atomic_io import atomic_write


class MetricsTable(Logger):
    """CSV logger with sorted columns; only the first process writes.

    Args:
        first_step: the step at which this run starts. Rows of earlier steps are kept; later ones, written by an
            interrupted run after its last checkpoint, are dropped.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite(self.columns, first_step)

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run's folder holds its configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
        if row.keys() - self.columns:
            self._rewrite([*row])
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    @rank_zero_only
    def _rewrite(self, columns: list[str], first_step: int | None = None) -> None:
        """Write the file again with added columns, and without the rows from ``first_step`` on."""
        rows = [row for row in self._read() if first_step is None or int(row["step"]) < first_step]
        self.columns = sorted({*columns, *(rows[0] if rows else ())})
        with atomic_write(self.path) as draft, draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if self.columns:
                writer.writeheader()
            writer.writerows(rows)

    def _read(self) -> list[dict[str, str]]:
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        return list(csv.DictReader(line for line in lines if line.endswith("\n")))  # a killed run left half a line

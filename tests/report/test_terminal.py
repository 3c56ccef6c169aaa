"""The closing table in a terminal and in a log file."""

import io
from pathlib import Path

from rich.console import Console

from gqn_probe.report.study_results import read_study
from gqn_probe.report.terminal import print_results


def test_a_log_file_gets_plain_aligned_text(study_folder: Path):
    out = io.StringIO()
    print_results(read_study(study_folder), wandb="wandb sync x", console=Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert out.getvalue().isascii()
    assert lines[:2] == ["Can the count be read?", "Yes: accuracy 0.71 (95 % interval 0.67 to 0.75)."]
    assert lines[2].startswith("Evidence: ")
    head = next(i for i, line in enumerate(lines) if line.split()[:1] == ["count"])
    assert "What does training add?" in lines[:head]
    assert lines[head].split() == ["count", "accuracy", "norm", "only", "sample", "RMSE"]
    assert lines[head + 1].split() == ["2", "0.970", "0.840", "30.0"]
    assert str(study_folder / "study" / "report.html") in lines[-3]
    assert lines[-1].split(maxsplit=1) == ["W&B", "wandb sync x"]


def test_a_terminal_gets_rules(study_folder: Path):
    out = io.StringIO()
    print_results(read_study(study_folder), console=Console(file=out, width=80, force_terminal=True))
    assert "─" in out.getvalue()
    assert "W&B" not in out.getvalue()

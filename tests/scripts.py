"""Run the two scripts in this process, as a user would from the repository, and catch what they print."""

import csv
import io
import os
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

ROOT = Path(__file__).parents[1]
# Processes that tests start find this source tree, whatever is installed, and the helpers of the tests.
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", "WANDB_MODE": "offline"}


class Finished(NamedTuple):
    """How a script ended."""

    code: int
    output: str
    error: str


def call(script: str, *arguments: str) -> Finished:
    """``python SCRIPT ARGUMENTS`` in the present folder."""
    output, error = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", [str(ROOT / script), *arguments]),
        patch.dict(os.environ),
        redirect_stdout(output),
        redirect_stderr(error),
    ):
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                print(ended.code, file=error)
    return Finished(code, output.getvalue(), error.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only_run(script: str) -> Path:
    """The output folder of the one run there was in the present folder."""
    (folder,) = Path("outputs", script).resolve().glob("*/*")
    return folder

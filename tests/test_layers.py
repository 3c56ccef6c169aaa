"""Each contract on who may import whom catches a violation that is planted in a copy of the package."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from scripts import ENVIRONMENT, ROOT

PACKAGE = "src/gqn_probe"
# contract: (file, line planted at its end, what the contract reports)
PLANTS = {
    "Imports run downward between the parts of the package": (
        f"{PACKAGE}/types.py",
        "import gqn_probe.progress",
        "gqn_probe.types -> gqn_probe.progress",
    ),
    "Imports run downward between the files of run": (
        f"{PACKAGE}/run/job.py",
        "import gqn_probe.run.cli",
        "gqn_probe.run.job -> gqn_probe.run.cli",
    ),
    "Imports run downward between the files of pipeline": (
        f"{PACKAGE}/pipeline/artifacts.py",
        "import gqn_probe.pipeline.study_run",
        "gqn_probe.pipeline.artifacts -> gqn_probe.pipeline.study_run",
    ),
    "Imports run downward between the files of tracking": (
        f"{PACKAGE}/tracking/csv_logger.py",
        "import gqn_probe.tracking.wandb_run",
        "gqn_probe.tracking.csv_logger -> gqn_probe.tracking.wandb_run",
    ),
    "Imports run downward between the rooms of data": (
        f"{PACKAGE}/data/stimuli/shapes.py",
        "import gqn_probe.data.store.store_index",
        "gqn_probe.data.stimuli.shapes -> gqn_probe.data.store.store_index",
    ),
    "Imports run downward between the rooms of analysis": (
        f"{PACKAGE}/analysis/inputs/view_selection.py",
        "import gqn_probe.analysis.statistics.scores",
        "gqn_probe.analysis.inputs.view_selection -> gqn_probe.analysis.statistics.scores",
    ),
    "Imports run downward between the files of report": (
        f"{PACKAGE}/report/glossary.py",
        "import gqn_probe.report.page",
        "gqn_probe.report.glossary -> gqn_probe.report.page",
    ),
    "Results are read and shown without torch and without what made them": (
        f"{PACKAGE}/results.py",
        "import gqn_probe.types",  # which imports torch
        "gqn_probe.types -> torch",
    ),
    "Nothing slow is imported before the command line is read": (
        f"{PACKAGE}/run/cli_errors.py",
        "import numpy",
        "gqn_probe.run.cli_errors -> numpy",
    ),
    "Hydra and OmegaConf stay in the scripts and what serves them": (
        f"{PACKAGE}/data/workers.py",
        "import omegaconf",
        "gqn_probe.data.workers -> omegaconf",
    ),
    "W&B stays in its own modules": (
        f"{PACKAGE}/training/schedules.py",
        "import gqn_probe.tracking.wandb_server",  # which imports wandb
        "gqn_probe.tracking.wandb_server -> wandb",
    ),
    "Lightning stays in training and in what it fits, feeds or logs to": (
        f"{PACKAGE}/model/canvas.py",
        "def later():\n    import pytorch_lightning",
        "gqn_probe.model.canvas -> pytorch_lightning",
    ),
    "The sweeper knows the notation of counts alone": (
        "src/hydra_plugins/gqn_probe_range/range_sweeper.py",
        "import gqn_probe.run.job",
        "hydra_plugins.gqn_probe_range.range_sweeper -> gqn_probe.run.job",
    ),
}


def lint(folder: Path) -> str:
    """What import-linter says of the package in ``folder``."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = ENVIRONMENT | {"PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    return tmp_path


def test_every_contract_has_a_violation_here_and_no_exemption():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == set(PLANTS)
    assert not [
        key for contract in contracts for key in contract if key in ("ignore_imports", "allow_indirect_imports")
    ]
    assert all(contract["exhaustive"] for contract in contracts if contract["type"] == "layers")


def test_the_package_keeps_its_contracts():
    assert f"Contracts: {len(PLANTS)} kept, 0 broken." in lint(ROOT)


def test_every_planted_violation_is_caught(copy):
    for file, line, _ in PLANTS.values():
        path = copy / file
        path.write_text(f"{path.read_text()}\n{line}\n")
    report = lint(copy)
    for contract, (_, _, told) in PLANTS.items():
        assert f"{contract} BROKEN" in report
        assert told in report


@pytest.mark.parametrize("folder", ["", "run", "pipeline", "tracking", "data", "analysis", "report"])
def test_a_module_that_no_layer_names_is_caught(copy, folder):
    (copy / PACKAGE / folder / "stray.py").touch()
    report = lint(copy)
    assert ".".join(["gqn_probe", *filter(None, [folder]), "stray"]) in report
    assert "1 broken" in report

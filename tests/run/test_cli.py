"""A script starts at once, and a user's mistake or interrupt ends it in one line."""

import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from scripts import ENVIRONMENT, ROOT

from gqn_probe.run import cli, cli_errors

WITHOUT_TORCH = """
import runpy, sys
from gqn_probe.run import cli
sys.argv = sys.argv[1:]
cli.report_user_errors = lambda recipe, cfg: sys.exit("the first job begins")
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    slow = {"torch", "pytorch_lightning", "wandb", "numpy", "matplotlib"} & set(sys.modules)
    sys.exit(f"imported: {slow}" if slow else 0)
"""


def mistaken(cfg: DictConfig) -> None:
    try:
        raise ValueError("probe.seeds must be\nat least 1")
    except ValueError as error:
        raise InstantiationException("Error in call to target\nfull_key: probe") from error


@pytest.fixture
def run_log(monkeypatch, tmp_path) -> Path:
    """The log of a single run."""
    monkeypatch.setattr(cli, "in_sweep", lambda: False)
    monkeypatch.setattr(cli, "output_folder", lambda: tmp_path)
    monkeypatch.setattr(cli.sys, "argv", ["train.py"])
    log = tmp_path / "train.log"
    log.write_text("error: of an earlier start of the run\n")
    return log


@pytest.mark.usefixtures("run_log")
def test_a_mistake_in_a_job_of_a_sweep_is_raised_in_one_line(monkeypatch):
    monkeypatch.setattr(cli, "in_sweep", lambda: True)
    with pytest.raises(ValueError, match=r"^probe.seeds must be at least 1$"):
        cli.report_user_errors(mistaken, DictConfig({}))


def test_a_mistake_in_a_single_run_ends_it_with_one_line(run_log):
    with pytest.raises(SystemExit, match=r"^error: probe.seeds must be at least 1$"):
        cli.report_user_errors(mistaken, DictConfig({}))
    assert run_log.read_text().splitlines()[1:] == ["error: probe.seeds must be at least 1"]


@pytest.mark.parametrize(("rank", "code"), [("0", 1), ("1", 0)])
def test_one_of_several_processes_reports_an_error(rank, code, run_log, monkeypatch):
    def after_another(cfg: DictConfig) -> None:
        with pytest.raises(SystemExit, match=r"^error: probe.seeds must"):
            cli.report_user_errors(mistaken, cfg)
        monkeypatch.setenv("LOCAL_RANK", rank)
        raise RuntimeError("out of memory")

    with pytest.raises(SystemExit) as ended:
        cli.report_user_errors(after_another, DictConfig({}))
    assert ended.value.code == code
    assert "memory" not in run_log.read_text()


def test_an_error_is_reported_where_the_log_cannot_be_written(run_log):
    run_log.unlink()
    with pytest.raises(RuntimeError, match="out of memory"):
        cli.report_user_errors(Mock(side_effect=RuntimeError("out of memory")), DictConfig({}))


def interrupted_as_lightning_does() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.parametrize(
    ("main", "code"),
    [
        (Mock(side_effect=KeyboardInterrupt), 130),
        (interrupted_as_lightning_does, 130),
        (lambda: signal.raise_signal(signal.SIGTERM), 143),
    ],
)
def test_an_interrupt_is_one_line_and_the_status_of_its_signal(main, code, monkeypatch, capsys):
    monkeypatch.setattr(cli.sys, "argv", ["probe.py"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # launch sets it
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        cli.launch(main)
    signal.signal(signal.SIGTERM, before)
    assert ended.value.code == code
    assert capsys.readouterr().err == "interrupted\n"


def test_an_exit_keeps_its_status(monkeypatch):
    monkeypatch.setattr(cli.sys, "argv", ["probe.py"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit, match=r"^7$"):
        cli.launch(Mock(side_effect=SystemExit(7)))


@pytest.mark.usefixtures("run_log")
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, cli.Terminated])
@pytest.mark.parametrize(("sweep", "option"), [(True, "hydra.sweep.dir=sweep"), (False, "hydra.run.dir=run")])
def test_an_interrupted_study_says_how_to_continue(sweep, option, interrupt, monkeypatch):
    monkeypatch.setattr(cli, "in_sweep", lambda: sweep)
    folders = DictConfig({"sweep": {"dir": "sweep"}, "run": {"dir": "run"}})
    monkeypatch.setattr(cli.HydraConfig, "get", lambda: folders)
    with pytest.raises(interrupt, match=f"the same command with {option}$"):
        cli.report_user_errors(Mock(side_effect=interrupt), DictConfig({"name": "probe"}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["train.py", "--help"],
        ["probe.py", "-h"],
        ["train.py", "model.widht=3"],
        ["train.py", "--shell-completion", "query=bash"],
        ["probe.py", "-m", "context=2..3"],
        ["train.py", "-m", "seed=0,1"],
    ],
)
def test_nothing_slow_is_imported_before_the_first_job_begins(arguments, tmp_path):
    command = [sys.executable, "-c", WITHOUT_TORCH, str(ROOT / arguments[0]), *arguments[1:]]
    environment = ENVIRONMENT | {"COMP_LINE": "python train.py mod"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_plugin_that_is_not_installed_is_named_with_its_extra():
    told = cli_errors._unknown_choice("hydra/launcher", "submitit_slurm", "basic")
    assert told == "hydra/launcher=submitit_slurm needs another package: pip install -e '.[scale]'"


@pytest.mark.parametrize("arguments", [{"betas": 1}, {}])
def test_a_run_of_another_version_says_how_to_go_on(arguments, monkeypatch):
    class Module:
        def __init__(self, *, optimizer: str) -> None: ...

    monkeypatch.setattr(cli.sys, "argv", ["train.py", "resume=/runs/a"])
    with pytest.raises(TypeError) as error:
        Module(**arguments)
    told = cli_errors.one_line(error.value)
    assert told.startswith("/runs/a was configured for another version of this program")
    assert told.endswith("start a new run with initial_weights=/runs/a/checkpoints/last.ckpt")

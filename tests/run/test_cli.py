"""What a user may type reaches Hydra as it was meant, help is quick and complete, and a mistake becomes one line."""

import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
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


@pytest.mark.parametrize("script", ["train", "probe"])
def test_help_shows_examples_groups_with_choices_and_values(script):
    text = cli.help_text(ROOT / f"{script}.py")
    assert text.count(f"  python {script}.py") >= 5
    for choice in (ROOT / "conf" / "data").glob("*.yaml"):
        assert choice.stem in text
    assert ("  checkpoint " in text) is (script == "probe")
    assert ("  model " in text) is (script == "train")
    assert all(len(line) < 200 for line in text.splitlines())
    assert "${" not in text  # no interpolation is shown as it stands


@pytest.mark.parametrize(
    "name",
    ["a=b/weights.safetensors", "run (1).ckpt", "x[0]", "für", "a,b", "it's", "back\\slash", "a\\'b", "{x}"],
)
@pytest.mark.parametrize("key", ["checkpoint", "++data.root", "hydra.run.dir"])
def test_a_path_may_hold_any_character(key, name):
    (argument,) = cli.hydra_arguments([f"{key}={name}"])
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert not override.is_sweep_override()
    value = override.value()
    assert str(value) == name


def test_what_hydra_reads_as_it_stands_is_left_alone():
    same = ["-m", "seed=0,1", "checkpoint=pretrained", "report=null", "data.root=gs://gqn-dataset", "cache='a b'"]
    assert cli.hydra_arguments(same) == same
    assert cli.hydra_arguments(["hydra.run.dir=outputs/${name}/x y"]) == ["hydra.run.dir=outputs/${name}/x y"]


def test_a_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert cli.hydra_arguments(["data.root=~/scenes"]) == ["data.root=/home/me/scenes"]


def test_several_checkpoints_are_swept_and_a_name_with_a_comma_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.hydra_arguments(["-m", "checkpoint=a=1,b=2"]) == ["-m", "checkpoint='a=1','b=2'"]
    assert cli.hydra_arguments(["-m", "checkpoint=glob(*)"]) == ["-m", "checkpoint=glob(*)"]
    Path("a,b").touch()
    assert cli.hydra_arguments(["-m", "checkpoint=a,b"]) == ["-m", "checkpoint='a,b'"]


def test_short_forms():
    assert cli.hydra_arguments(["experiment=null", "context=range(2,5)"]) == ["context='range(2,5)'"]
    assert cli.hydra_arguments(["context=2,5", "seed=0,1"]) == ["context='2,5'", "seed=0,1"]
    assert cli.hydra_arguments(["-m", "context=range(2,5)"]) == ["-m", "context=range(2,5)"]
    assert cli.hydra_arguments(["seed=0", "-m", "context=2..3"]) == ["-m", "seed=0", "context=2..3"]
    assert cli.hydra_arguments(["probe.probes=[linear]"]) == ["probe/probes=[linear]"]


def test_a_plugin_that_is_not_installed_is_named_with_its_extra():
    told = cli_errors._unknown_choice("hydra/launcher", "submitit_slurm", "basic")
    assert told == "hydra/launcher=submitit_slurm needs another package: pip install -e '.[scale]'"

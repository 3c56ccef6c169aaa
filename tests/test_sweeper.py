"""The range sweeper: discovered by Hydra, ``a..b`` becomes jobs, a failed job does not end the sweep."""

import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from hydra_plugins.gqn_probe_range import range_sweeper
from hydra_plugins.gqn_probe_range.range_sweeper import RangeSweeper, Task, expand

APP = """
    import os

    import hydra

    from gqn_probe.run import cli


    @hydra.main(version_base="1.3", config_path=None, config_name="app")
    def main(cfg):
        return cli.report_user_errors(job, cfg)


    def job(cfg):
        if cfg.context == 3:
            raise ValueError("context=3 is refused; use 4")
        if cfg.x == 9:
            os.kill(os.getpid(), 9)
        print("JOB", cfg.context, cfg.x)


    if __name__ == "__main__":
        cli.launch(main)
"""
CONFIG = """
    defaults:
      - override hydra/sweeper: range
      - _self_
    context: 1
    x: 0
    hydra:
      sweep: {dir: sweep}
      run: {dir: run}
"""


@pytest.fixture
def app(tmp_path: Path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "app.yaml").write_text(textwrap.dedent(CONFIG))

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "app.py", "--config-dir", ".", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return call


def jobs(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith("JOB")]


def test_hydra_discovers_it():
    assert "RangeSweeper" in {plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)}


@pytest.mark.parametrize(
    ("context", "counts"),
    [
        ("2..4", [2, 3, 4]),
        ("2,4..5,7", [2, 4, 5, 7]),
        ("[2,3],[4,5]", [2, 3, 4, 5]),
        ("'2..3',[5,7..8]", [2, 3, 5, 7, 8]),
        ("range(2,5)", [2, 3, 4]),
    ],
)
def test_every_notation_becomes_a_job_a_count(context, counts):
    assert expand([f"context={context}"], ["context"]) == [[f"context={count}"] for count in counts]
    assert expand([f"++context={context}"], ["context"]) == [[f"++context={count}"] for count in counts]


def test_other_keys_are_swept_as_hydra_does():
    assert expand(["x=2..4,[5,6]", "y=1..2"], ["context"]) == [["x=2..4", "y=1..2"], ["x=[5,6]", "y=1..2"]]


def test_a_count_that_is_named_twice_is_refused():
    with pytest.raises(HydraException, match=r"^context=3,2\.\.4: '\[3, 2, 3, 4\]' holds a count twice"):
        expand(["context=3,2..4"], ["context"])


@pytest.mark.slow
def test_range_becomes_jobs_and_a_failed_one_is_named(app):
    result = app("-m", "context=2..4", "x=1,2")
    assert jobs(result) == ["JOB 2 1", "JOB 2 2", "JOB 4 1", "JOB 4 2"]
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "job context=3 x=1, context=3 x=2 failed: context=3 is refused; use 4",
        "error: 2 of 6 jobs of the sweep failed; the same command with hydra.sweep.dir=sweep runs these alone",
    ]


@pytest.mark.slow
def test_a_mistake_that_all_jobs_share_ends_the_sweep_in_one_line(app):
    result = app("-m", "context=3", "x=1,2,3,4")
    assert result.returncode == 1
    assert result.stderr == "error: context=3 is refused; use 4\n"
    assert result.stdout.count(": context=3") == 2  # the second job confirms it


def jobs_run(outcomes: dict[str, str | None], monkeypatch) -> int:
    """Run jobs, by their overrides, that fail with a message or not; return the number that were run."""
    done = 0
    task = Task(Mock(side_effect=[message and ValueError(message) for message in outcomes.values()]))
    task.shared = set.intersection(*(set(overrides.split()) for overrides in outcomes))
    with suppress(SystemExit):
        for overrides in outcomes:
            done += 1
            job = Mock(**{"overrides.task": overrides.split()})
            monkeypatch.setattr(range_sweeper.HydraConfig, "get", Mock(return_value=job))
            with suppress(ValueError):
                task(OmegaConf.create())
    return done


@pytest.mark.parametrize(
    ("outcomes", "run"),
    [
        ({"c=2": "no file", "c=3": "no file", "c=4": "no file"}, 2),
        ({"c=2": "no file 2", "c=3": "no file 3", "c=4": "no file 4"}, 3),  # each its own mistake
        ({"c=2": None, "c=3": "disk full", "c=4": "disk full"}, 3),  # not the configuration's mistake
        ({"x=1 c=2": "bad", "x=1 c=3": "bad", "x=2 c=2": None, "x=2 c=3": None}, 4),  # it may depend on x
        ({"x=1 c=2": "bad", "x=1 c=3": "bad", "x=2 c=2": "bad", "x=2 c=3": None}, 3),
        ({"c=2": "no file"}, 1),
    ],
)
def test_a_sweep_ends_early_only_when_failed_jobs_share_a_message_and_nothing_swept(outcomes, run, monkeypatch):
    assert jobs_run(outcomes, monkeypatch) == run


@pytest.fixture
def sweeper(tmp_path, monkeypatch):
    sweeper = RangeSweeper(["context"])
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}, "job": {}}})
    sweeper.hydra_context, sweeper.task = Mock(), Task(Mock())
    monkeypatch.setattr(sweeper, "validate_batch_is_legal", Mock())
    return sweeper


def test_a_mistake_that_all_jobs_share_is_said_once_by_parallel_launchers_too(sweeper, capsys):
    def launch(jobs, initial_job_idx):
        return [
            Mock(status=JobStatus.FAILED, _return_value=ValueError("no file"), overrides=overrides)
            for overrides in jobs
        ]

    sweeper.launcher = Mock(launch=launch)
    with pytest.raises(HydraException, match=r"^no file$"):
        sweeper.sweep(["context=2..4"])
    assert capsys.readouterr().err == ""
    sweeper.hydra_context.callbacks.on_multirun_end.assert_not_called()


def test_jobs_that_differ_in_a_count_alone_are_validated_once(sweeper):
    sweeper.launcher = Mock(launch=Mock(return_value=[]))
    sweeper.sweep(["context=2..15", "x=1,2"])
    (batch,) = sweeper.validate_batch_is_legal.call_args.args
    assert len(batch) == 2


def test_after_a_process_was_killed_the_study_is_made_of_what_is_there(sweeper, capsys):
    sweeper.launcher = Mock(launch=Mock(side_effect=RuntimeError("A worker\nwas killed\nTraceback ...")))
    sweeper.hydra_context.callbacks.on_multirun_end.side_effect = SystemExit(1)  # as without any finished job
    with pytest.raises(HydraException, match=r"lost jobs .*; the same command .* runs what is missing$"):
        sweeper.sweep(["context=2..3"])
    assert capsys.readouterr().err == "the launcher gave up: A worker was killed\n"
    sweeper.hydra_context.callbacks.on_multirun_end.assert_called_once()


@pytest.mark.slow
def test_a_job_that_is_killed_ends_the_sweep_with_a_remedy(app):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    result = app("-m", "context=2,4", "x=9", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert result.returncode == 1
    assert "the launcher gave up: A worker process managed by the executor was unexpectedly terminated" in result.stderr
    assert result.stderr.splitlines()[-1].startswith(
        "error: the launcher lost jobs of the sweep; the same command with"
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("told", "shown"), [("", "the same command with hydra.sweep.dir="), ("job", "job")])
def test_an_interruption_between_two_jobs_tells_how_to_continue(sweeper, told, shown):
    sweeper.launcher = Mock(launch=Mock(side_effect=KeyboardInterrupt(told)))
    with pytest.raises(KeyboardInterrupt, match=shown):
        sweeper.sweep(["context=2,4"])


def test_a_mistake_that_the_launcher_finds_is_shown_as_it_is(sweeper):
    sweeper.launcher = Mock(launch=Mock(side_effect=HydraException("a mistake")))
    with pytest.raises(HydraException, match=r"^a mistake$"):
        sweeper.sweep(["context=2..3"])
    sweeper.hydra_context.callbacks.on_multirun_end.assert_not_called()


@pytest.mark.slow
def test_a_mistake_is_one_line_and_no_traceback(app):
    for arguments, message in [
        (("context=3",), "error: context=3 is refused; use 4"),
        (
            ("-m", "context=15..2"),
            "error: context=15..2: '15..2' runs backwards or stands still; write a count such",
        ),
        (("contxt=3",), "error: there is no setting 'contxt'; `python app.py --help` tells more"),
    ]:
        result = app(*arguments)
        assert result.returncode == 1
        assert result.stderr.startswith(message)
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_unquoted_range_is_read_without_multirun(app):
    assert jobs(app("context=range(5,7)")) == ["JOB range(5,7) 0"]

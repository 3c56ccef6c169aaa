"""The W&B runs of a sweep, read back from their offline logs as ``wandb leet`` shows them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig
from scripts import only_run
from test_cli import place, study, trained  # noqa: F401  (fixtures)

from gqn_probe import tracking


def inspect(folder: Path) -> dict:
    """What ``wandb leet`` tells of the run kept in ``folder``: its summary, and its record of how it was started."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    summary = subprocess.run([*command, "--summary"], capture_output=True, text=True, check=True).stdout
    records = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    (start,) = (record["run"] for record in map(json.loads, records) if record["type"] == "run")
    return json.loads(summary) | {"start": start}


@pytest.mark.slow
def test_a_sweep_is_a_group_of_finished_runs(study):  # noqa: F811
    assert study("-m", "context=2..3").code == 0
    folder = only_run("probe")
    runs = {run["name"]: run for run in map(inspect, sorted(folder.glob("wandb/offline-run-*")))}
    assert set(runs) == {"context-2", "context-3", "study"}
    assert {run["state"] for run in runs.values()} == {"finished"}
    assert len({run["start"]["run_group"] for run in runs.values()}) == 1
    assert [runs[name]["start"]["job_type"] for name in sorted(runs)] == ["count", "count", "study"]
    assert runs["context-2"]["summary"]["context"] == 2
    assert runs["context-2"]["summary"]["sample/rmse"] > 0
    assert runs["context-2"]["config"]["context"]
    assert 0 <= runs["study"]["summary"]["headline/accuracy"] <= 1
    assert "accuracy/norm" in runs["study"]["summary"]


@pytest.mark.slow
def test_a_run_whose_job_fails_is_finished_and_says_so(study):  # noqa: F811
    assert study("context=2", "probe.probes.linear.epochs=3", "probe.inputs=[nowhere]").code == 1
    runs = [inspect(run) for run in only_run("probe").glob("wandb/offline-run-*")]
    assert runs
    assert all(run["exit_code"] is not None for run in runs)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"logger\.mode=sometimes is not one of auto, online, offline"):
        tracking.wandb_mode("sometimes")


def test_nothing_is_logged_without_wandb(tmp_path):
    cfg = DictConfig({"logger": {"wandb": False}})
    with tracking.loggers(cfg, tmp_path, job_type="count") as loggers:
        assert loggers == []
        assert tracking.address(loggers) == ""

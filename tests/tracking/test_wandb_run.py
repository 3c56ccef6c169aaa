"""The W&B runs of a sweep, read back from their offline logs as ``wandb leet`` shows them."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from fake_wandb import fake_wandb
from omegaconf import DictConfig
from scripts import only_run
from test_scripts import place, study, trained  # noqa: F401  (fixtures)
from wandb.errors import CommError, UsageError

from gqn_probe.tracking import wandb_run


def inspect(folder: Path) -> dict:
    """What ``wandb leet`` tells of the run kept in ``folder``: its summary, and its record of how it was started."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    summary = subprocess.run([*command, "--summary"], capture_output=True, text=True, check=True).stdout
    records = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [json.loads(record) for record in records]
    (start,) = (record["run"] for record in told if record["type"] == "run")
    made = [record["artifact"]["type"] for record in told if record["type"] == "artifact"]
    made = [kind for kind in made if kind != "run_table"]
    return json.loads(summary) | {"start": start, "artifacts": made}


@pytest.mark.slow
def test_a_sweep_is_a_group_of_finished_runs(study):  # noqa: F811
    assert study("-m", "context=2..3").code == 0
    folder = only_run("probe")
    runs = {run["name"]: run for run in map(inspect, sorted(folder.glob("wandb/offline-run-*")))}
    assert set(runs) == {"k=02 seed=0", "k=03 seed=0", "study"}
    assert {run["state"] for run in runs.values()} == {"finished"}
    assert len({run["start"]["run_group"] for run in runs.values()}) == 1
    assert [runs[name]["start"]["job_type"] for name in sorted(runs)] == ["count", "count", "study"]
    assert runs["k=02 seed=0"]["summary"]["context"] == 2
    assert runs["k=02 seed=0"]["summary"]["sample/rmse"] > 0
    assert runs["k=02 seed=0"]["config"]["context"]
    assert 0 <= runs["study"]["summary"]["headline/accuracy"] <= 1
    assert "accuracy/norm" in runs["study"]["summary"]
    assert len({run["config"]["checkpoint_fingerprint"] for run in runs.values()}) == 1
    assert [runs[name]["artifacts"] for name in sorted(runs)] == [["features"], ["features"], ["study"]]


def test_a_key_that_cannot_be_one_fails_nothing(monkeypatch, caplog):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    asked = Mock(side_effect=CommError("API key is\nempty."))
    monkeypatch.setattr(wandb_run, "logged_in", asked)
    assert wandb_run.wandb_mode("auto") == "offline"
    assert wandb_run.wandb_mode("auto") == "offline"
    assert asked.call_count == 1
    assert caplog.messages == ["W&B runs are kept offline: API key is empty."]


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_that_cannot_be_online_is_offline(answers, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    asked = Mock(side_effect=None if answers else ConnectionError("no answer"))
    monkeypatch.setattr(wandb_run, "ask_server", asked)
    offline = Mock(spec=wandb_run.wandb.Run)
    started = Mock(side_effect=[CommError("no permission"), offline] if answers else [offline])
    monkeypatch.setattr(wandb_run.wandb, "init", started)
    assert wandb_run._start("online", dir=tmp_path, resume="allow") is offline
    assert started.call_args.kwargs["mode"] == "offline"


def test_a_run_that_wandb_refuses_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(wandb_run, "ask_server", Mock())
    monkeypatch.setattr(wandb_run.wandb, "init", Mock(side_effect=UsageError("No API key. Use `wandb login`")))
    with pytest.raises(ValueError, match=r"W&B refuses a run with logger\.mode=online: No API key\. Use `wandb login`"):
        wandb_run._start("online", dir=tmp_path)


@pytest.mark.slow
def test_a_run_whose_job_fails_is_finished_and_says_so(study):  # noqa: F811
    assert study("context=2", "probe.probes.linear.epochs=3", "probe.inputs=[nowhere]").code == 1
    runs = [inspect(run) for run in only_run("probe").glob("wandb/offline-run-*")]
    assert runs
    assert all(run["exit_code"] is not None for run in runs)


def test_online_a_run_notes_what_it_used_and_a_refusal_fails_nothing(tmp_path, caplog):
    (tmp_path / "pretrained.safetensors").write_bytes(b"weights")
    weights = wandb_run.ArtifactSpec("model", "abc", tmp_path / "pretrained.safetensors")
    run = Mock(spec=wandb_run.wandb.Run, offline=False)
    logger = wandb_run.RunLogger(experiment=run)
    wandb_run.log_lineage([logger], uses=weights, makes=weights)
    used = run.use_artifact.call_args.args[0]
    assert (used.name, used.type, list(used.manifest.entries)) == ("model-abc", "model", ["model.safetensors"])
    run.use_artifact.side_effect = ValueError("quota exceeded")
    wandb_run.log_lineage([logger], uses=weights, makes=weights)
    assert run.log_artifact.call_count == 2
    assert caplog.messages == ["W&B cannot log this run any more: quota exceeded; the run continues without it"]


@pytest.mark.slow
def test_two_offline_sittings_of_a_run_are_uploaded_as_one(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "of all runs"))
    cfg = DictConfig({"logger": {"wandb": True, "mode": "offline", "project": "p", "entity": None, "group": "g"}})
    cfg.logger.tags = []
    for first in (0, 3):
        with wandb_run.open_loggers(cfg, tmp_path / "run", job_type="train", first_step=first) as loggers:
            for step in range(first, first + 3):
                loggers[-1].log_metrics({"loss": 10.0 * step}, step)
    assert len(list((tmp_path / "of all runs" / "wandb").glob("offline-run-*"))) == 2
    command = caplog.messages[-1].partition("upload with: ")[2]
    with fake_wandb() as server:
        key = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": "local-" + "a" * 40}
        environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"} | key
        command = f"{sys.executable} -m {command}"
        subprocess.run(command, shell=True, env=environment, check=True, capture_output=True, timeout=900)
        assert [row["loss"] for row in server.history] == [0, 10, 20, 30, 40, 50]
        assert [row["_step"] for row in server.history] == list(range(6))


def test_no_call_of_a_logger_raises_into_the_run(caplog):
    run = Mock(spec=wandb_run.wandb.Run, offline=False, dir="/runs/it is/wandb/run-1/files", step=0)
    run.log.side_effect = run.config.update.side_effect = ConnectionResetError("Connection lost")
    run.finish.side_effect = TimeoutError("Timed out finishing run.")
    logger = wandb_run.RunLogger(experiment=run)
    logger.log_metrics({"loss": 1.0}, 0)
    logger.log_metrics({"loss": 1.0}, 1)
    logger.log_hyperparams({"a": 1})
    logger.log_image("picture", [np.zeros((2, 2, 3), np.uint8)])
    logger.finalize("success")
    logger.finish(0)
    assert caplog.messages == [
        "W&B cannot log this run any more: Connection lost; the run continues without it",
        "W&B did not receive all of this run (Timed out finishing run.); "
        "upload it with: wandb sync '/runs/it is/wandb'/*run-*",
    ]


def test_what_interrupts_a_run_is_not_caught():
    logger = wandb_run.RunLogger(experiment=Mock(spec=wandb_run.wandb.Run))
    with pytest.raises(KeyboardInterrupt):
        logger.attempt(Mock(side_effect=KeyboardInterrupt))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"logger\.mode=sometimes is not one of auto, online, offline"):
        wandb_run.wandb_mode("sometimes")


def test_the_environment_may_choose_the_mode(monkeypatch):
    for told, mode in {"online": "online", "run": "online", "dryrun": "offline", "disabled": "disabled"}.items():
        monkeypatch.setenv("WANDB_MODE", told)
        assert wandb_run.wandb_mode("auto") == mode
        assert wandb_run.wandb_mode("offline") == "offline"
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(ValueError, match="WANDB_MODE=sometimes is not one of online, offline, disabled"):
        wandb_run.wandb_mode("auto")


def test_nothing_is_logged_where_the_environment_disables_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    cfg = DictConfig({"logger": {"wandb": True, "mode": "auto"}})
    with wandb_run.open_loggers(cfg, tmp_path, job_type="count") as loggers:
        assert loggers == []
    assert not list(tmp_path.iterdir())


def test_nothing_is_logged_without_wandb(tmp_path):
    cfg = DictConfig({"logger": {"wandb": False}})
    with wandb_run.open_loggers(cfg, tmp_path, job_type="count") as loggers:
        assert loggers == []
        assert wandb_run.run_address(loggers) == ""

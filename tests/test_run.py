"""What is made of a mistake inside a job, and what is noted of one that ends."""

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from gqn_probe import run


def mistaken(cfg: DictConfig) -> None:
    try:
        raise ValueError("probe.seeds must be\nat least 1")
    except ValueError as error:
        raise InstantiationException("Error in call to target\nfull_key: probe") from error


def provenance(folder: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    run.write_provenance(folder, DictConfig({}), device=device)
    return json.loads((folder / "provenance.json").read_text())


def test_a_mistake_in_a_job_of_a_sweep_is_raised_in_one_line(monkeypatch):
    monkeypatch.setattr(run, "in_sweep", lambda: True)
    with pytest.raises(ValueError, match=r"^probe.seeds must be at least 1$"):
        run.guarded(mistaken, DictConfig({}))


def test_a_mistake_in_a_single_run_ends_it_with_one_line(monkeypatch):
    monkeypatch.setattr(run, "in_sweep", lambda: False)
    with pytest.raises(SystemExit, match=r"^error: probe.seeds must be at least 1$"):
        run.guarded(mistaken, DictConfig({}))


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(run.sys, "argv", ["probe.py"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # launch sets it
    with pytest.raises(SystemExit) as ended:
        run.launch(Mock(side_effect=KeyboardInterrupt))
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_seconds_of_a_job_are_its_own(tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # settle sets both
    monkeypatch.setenv("PL_SEED_WORKERS", "1")
    for job in range(3):
        monkeypatch.setattr(time, "time", lambda: now + 100 * job)  # noqa: B023  (called in the loop alone)
        run.settle(0)
        monkeypatch.setattr(time, "time", lambda: now + 100 * job + 7)  # noqa: B023
        assert provenance(tmp_path)["seconds"] == 7


def test_the_device_noted_is_the_one_that_was_used(tmp_path, monkeypatch):
    run.STARTED.set(0.0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"name of {device}")
    assert provenance(tmp_path)["device"] == "cpu"
    assert provenance(tmp_path, torch.device("cuda:1"))["device"] == "cuda:1 (name of cuda:1)"

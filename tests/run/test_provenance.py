"""What is noted of a job that ends."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from gqn_probe.run import job
from gqn_probe.run.provenance import write_provenance


def provenance(folder: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    write_provenance(folder, DictConfig({}), device=device)
    return json.loads((folder / "provenance.json").read_text())


def test_the_seconds_of_a_job_are_its_own(tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # setup_job sets both
    monkeypatch.setenv("PL_SEED_WORKERS", "1")
    for number in range(3):
        monkeypatch.setattr(time, "time", lambda: now + 100 * number)  # noqa: B023  (called in the loop alone)
        job.setup_job(0)
        monkeypatch.setattr(time, "time", lambda: now + 100 * number + 7)  # noqa: B023
        assert provenance(tmp_path)["seconds"] == 7


def test_the_device_noted_is_the_one_that_was_used(tmp_path, monkeypatch):
    job.STARTED.set(0.0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"name of {device}")
    assert provenance(tmp_path)["device"] == "cpu"
    assert provenance(tmp_path, torch.device("cuda:1"))["device"] == "cuda:1 (name of cuda:1)"

"""Several devices do what one does, in one run folder; as jobs of a sweep, too."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scripts import ENVIRONMENT, ROOT
from tiny import TINY, rows, train

pytestmark = pytest.mark.slow


def gradients(place: Path, devices: int) -> list[torch.Tensor]:
    """The gradient of the same eight scenes, as each of the devices has it."""
    script = ROOT / "tests" / "gradients.py"
    path = place / f"gradient-{devices}"
    subprocess.run([sys.executable, script, str(devices), path], cwd=place, env=ENVIRONMENT, check=True, timeout=900)
    return [torch.load(f"{path}.{rank}") for rank in range(devices)]


def test_one_and_two_devices_agree_on_the_gradient(tmp_path):
    (one,) = gradients(tmp_path, 1)
    first, second = gradients(tmp_path, 2)
    assert one.abs().max() > 0
    assert torch.equal(first, second)
    torch.testing.assert_close(first, one, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


def test_a_sweep_of_two_device_runs_is_as_many_jobs(tmp_path):
    result = train(
        tmp_path, "-m", *TINY, "seed=1,2", "trainer.devices=2", "trainer.max_steps=3", "hydra.sweep.dir=sweep"
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == ["0", "1", "multirun.yaml"]
    assert not (tmp_path / "outputs" / "train").exists()
    losses = []
    for job in (tmp_path / "sweep" / "0", tmp_path / "sweep" / "1"):
        assert len(list(job.glob("wandb/offline-run-*"))) == 1
        assert (job / "weights.safetensors").exists()
        losses.append([row["train/loss"] for row in rows(job) if row["train/loss"]])
    assert len(losses[0]) == len(losses[1]) == 3
    assert losses[0] != losses[1]


def test_a_loss_that_is_not_finite_stops_all_devices_with_one_line(tmp_path):
    values = {"_target_": "interruptions.NotANumberAt", "step": 4, "rank": 1}
    bad = [f"+callbacks.bad.{key}={value}" for key, value in values.items()]
    result = train(tmp_path, *TINY, *bad, "trainer.devices=2", f"hydra.run.dir={tmp_path}/run")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: step 4: loss nan and gradient norm nan are not both finite, for scenes ")
    assert f"last good checkpoint: {tmp_path}/run/checkpoints/last.ckpt" in result.stderr
    named = result.stderr.partition("for scenes ")[2].partition(";")[0].split(", ")
    assert len({int(scene) for scene in named}) == 8  # four of each device


def test_an_error_on_a_further_device_is_printed_once(tmp_path):
    values = {"_target_": "interruptions.ErrorAt", "step": 4, "rank": 1}
    bad = [f"+callbacks.bad.{key}={value}" for key, value in values.items()]
    result = train(tmp_path, *TINY, *bad, "trainer.devices=2", "hydra.run.dir=run")
    assert result.returncode == 1
    assert result.stderr == "error: rank 1 broke\n"
    assert "error: rank 1 broke" in (tmp_path / "run" / "train.log").read_text().splitlines()


def test_a_process_that_is_killed_ends_the_others_in_one_line(tmp_path):
    values = {"_target_": "interruptions.SignalAt", "step": 4, "signal": 9, "rank": 1, "marker": tmp_path / "killed"}
    kill = [f"+callbacks.kill.{key}={value}" for key, value in values.items()]
    result = train(tmp_path, *TINY, *kill, "trainer.devices=2", "hydra.run.dir=run")
    assert result.returncode == 1
    assert result.stderr == "error: the process of another device ended; it says why itself, unless it was killed\n"

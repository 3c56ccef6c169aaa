"""The exported weights are the best ones, and what stands beside them is theirs; what stopped a run is said."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from fitting import fit
from safetensors import safe_open
from safetensors.torch import load_file
from scripts import call, read_table
from tiny import TINY, tiny_module

from gqn_probe.training.best_weights import log_if_out_of_time
from gqn_probe.training.checkpointing import LastCheckpoint

DATA = [override for override in TINY if override.startswith("data.")]

BEST = "val/mean_of_samples/rmse"  # by which the recipe of points keeps its best weights


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user")


def trained(place: Path, name: str, *overrides: str) -> Path:
    """The folder of ``python train.py``, in ``place``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        result = call("train.py", *TINY, "logger.wandb=false", f"hydra.run.dir={place / name}", *overrides)
    assert result.code == 0, result.error
    assert "stopped" not in result.output
    return place / name


@pytest.fixture(scope="module")
def run(place) -> Path:
    """A run whose first validation counts as its best, because errors fall."""
    return trained(place, "run", "callbacks.best.mode=max", "trainer.max_steps=6")


def metadata(folder: Path) -> dict[str, str]:
    with safe_open(folder / "weights.safetensors", framework="pt") as file:
        return file.metadata()


def test_the_best_checkpoint_is_exported_with_its_own_step_and_score(run):
    validations = [row for row in read_table(run / "metrics.csv") if row["val/kl"]]
    errors = {int(row["step"]) + 1: float(row["val/sample/rmse"]) for row in validations}
    assert [*errors] == [3, 6]
    assert errors[3] > errors[6]
    record = json.loads((run / "provenance.json").read_text())
    assert record["steps"] == 3
    assert record["metrics"]["val/sample/rmse"] == pytest.approx(errors[3])
    assert record["last_validation"]["val/sample/rmse"] == pytest.approx(errors[6])
    assert metadata(run)["steps"] == "3"
    assert float(metadata(run)[BEST]) == pytest.approx(record["metrics"][BEST], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.lens.scale=0.5", r"error: .* scale=0.8, the data has .* add data.lens.kind=orthographic .*=0.8\n"),
        ("data.camera_order=sin_cos", r"error: .* in the order cos_sin, .*: add data.camera_order=cos_sin\n"),
    ],
)
@pytest.mark.parametrize("file", ["weights.safetensors", "checkpoints/last.ckpt"])
def test_the_study_of_other_data_is_refused(run, place, monkeypatch, override, message, file):
    monkeypatch.chdir(place)
    result = call("probe.py", *DATA, "context=2", f"checkpoint=run/{file}", "logger.wandb=false", override)
    assert result.code == 1
    assert re.fullmatch(message, result.error), result.error


@pytest.mark.slow
def test_what_is_switched_off_is_left_out(place):
    off = ["callbacks.images=null", "callbacks.best=null", "trainer.log_every_n_steps=0", "trainer.max_steps=4"]
    run = trained(place, "off", *off)
    assert not (run / "images").exists()
    record = json.loads((run / "provenance.json").read_text())
    assert record["steps"] == 4
    assert record["metrics"] == {}, "these weights were not validated"
    assert record["last_validation"]["val/sample/rmse"] > 0
    assert metadata(run).keys() == {
        *("steps", "data", "frame_size", "camera_order", "lens", "background", "sigma", "gqn_settings", "sha256"),
    }


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("override", ["trainer.limit_val_batches=0", "callbacks.best=null"])
def test_the_best_of_another_run_in_the_folder_is_not_exported(run, tmp_path, override):
    shutil.copytree(run / "checkpoints", tmp_path / "again" / "checkpoints")
    (tmp_path / "again" / "checkpoints" / "last.ckpt").unlink()  # with it, a new run would be refused
    again = trained(tmp_path, "again", override, "seed=1", "trainer.max_steps=4")
    last = torch.load(again / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert metadata(again)["steps"] == "4"
    assert all(torch.equal(value, last[f"gqn.{name}"]) for name, value in weights(again).items())


@pytest.mark.slow
def test_a_resumed_run_that_finds_no_better_one_exports_the_earlier_best(tmp_path, monkeypatch):
    run = trained(tmp_path, "run", "callbacks.best.mode=max", "trainer.max_steps=6")
    best = weights(run)
    monkeypatch.chdir(tmp_path)

    def resumed(folder: Path, *overrides: str) -> None:
        result = call("train.py", f"resume={folder}", *overrides)
        assert result.code == 0, result.error
        assert metadata(folder)["steps"] == "3"
        assert all(torch.equal(value, best[name]) for name, value in weights(folder).items())

    resumed(run, "trainer.max_steps=9")
    resumed(run.rename(tmp_path / "moved"), "trainer.max_steps=12")


@pytest.mark.slow
@pytest.mark.parametrize("validations", [1.0, 0])
@pytest.mark.parametrize(("steps", "of"), [(100, " of 100"), (-1, "")])
def test_a_run_that_time_stopped_says_so_and_can_go_on(tmp_path, caplog, validations, steps, of):
    last = LastCheckpoint(str(tmp_path / "checkpoints"))
    settings = {"max_steps": steps, "max_time": {"seconds": 0.1}, "limit_val_batches": validations}
    settings |= {"enable_checkpointing": True}
    trainer = fit(tiny_module(), tmp_path / "cache", callbacks=[last], **settings)
    caplog.set_level("INFO", logger="gqn_probe")
    log_if_out_of_time(trainer, tmp_path)
    done = trainer.global_step
    line = f"stopped at step {done}{of} by trainer.max_time; to continue: python train.py resume={tmp_path}"
    assert [message for message in caplog.messages if "resume=" in message] == [line]
    assert torch.load(last.path, weights_only=True)["global_step"] == done


@pytest.mark.slow
def test_a_run_that_came_to_its_end_says_nothing(tmp_path, caplog):
    caplog.set_level("INFO", logger="gqn_probe")
    trainer = fit(tiny_module(), tmp_path / "cache", max_steps=1, max_time={"hours": 1})
    log_if_out_of_time(trainer, tmp_path)
    late = fit(tiny_module(), tmp_path / "cache", max_steps=1, max_time={"seconds": 0.001})
    log_if_out_of_time(late, tmp_path)
    assert not [message for message in caplog.messages if "stopped at" in message]

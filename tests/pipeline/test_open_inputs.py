"""Checks of what a study is of, before it starts."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from scripts import ROOT

from gqn_probe.pipeline import open_inputs
from gqn_probe.run import job

CHOICES = {"split": "test", "checkpoint": "pretrained", "cache": "cache"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"split": "validation"}, "split=validation is not known: use train, "),
        ({"split": None}, "split=None is not known"),
        ({"checkpoint": None}, "checkpoint=null is not a path: name a file, or pretrained"),
        ({"cache": None}, "cache=null is not a path: name a folder"),
    ],
)
def test_an_invalid_choice_raises(choice, message):
    with pytest.raises(ValueError, match=message):
        open_inputs.check_choices(DictConfig(CHOICES | choice))


@pytest.mark.parametrize(("gpus", "chosen"), [(0, "cpu"), (2, "cuda")])
def test_device_is_chosen_or_taken_as_named(monkeypatch, gpus, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert open_inputs.choose_device("auto") == chosen
    with monkeypatch.context() as sweep:
        sweep.setattr(job, "number", lambda: 3)
        assert open_inputs.choose_device("auto") == ("cuda:1" if gpus else "cpu")
    assert open_inputs.choose_device("cpu") == "cpu"
    if gpus:
        assert open_inputs.choose_device("cuda:1") == "cuda:1"
    for absent in ("cuda:2",) if gpus else ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"device={absent} does not exist: PyTorch finds {gpus} GPUs; use"):
            open_inputs.choose_device(absent)
    for strange in ("gpu", None, "cuda:"):
        with pytest.raises(ValueError, match=f"device={strange} is not known: use auto, cpu, cuda or cuda:N"):
            open_inputs.choose_device(strange)


def test_note_warns_of_scenes_that_training_may_have_seen(caplog):
    assert open_inputs.split_notes("test") == open_inputs.split_notes("val") == []
    for split in ("all", "train"):
        (note,) = open_inputs.split_notes(split)
        assert note.startswith(f"split={split} has objects that the network may have been trained on")
        assert f"note: {note}" in caplog.messages


@pytest.mark.slow
def test_frames_of_another_size_than_in_training_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        small = ["data.train=0", "data.val=0", "data.test=2", "data.views=2", f"data.cache={tmp_path}"]
        cfg = compose("probe", [*small, "data.size=32"])
    open_inputs._note_size.cache_clear()  # of other tests in this process
    for _ in range(2):
        open_inputs.open_study_inputs(cfg, 2)
    told = [message for message in caplog.messages if "trained on frames" in message]
    assert told == ["the weights were trained on frames of 64 pixels, these have 32: data.size=64 is as trained"]

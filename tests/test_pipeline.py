"""What the script checks before a study, and says after it."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from omegaconf import DictConfig

from gqn_probe import pipeline
from gqn_probe.analysis import StudyInputs, StudySettings
from gqn_probe.run import job

CHOICES = {"context": 2, "split": "test", "checkpoint": "pretrained", "cache": "cache"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"split": "validation"}, "split=validation is not known: use train or val or test"),
        ({"split": None}, "split=None is not known"),
        ({"checkpoint": None}, "checkpoint=null is not a path: name a file, or pretrained"),
        ({"cache": None}, "cache=null is not a path: name a folder"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(choice, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        pipeline.plan_counts(DictConfig(CHOICES | choice), tmp_path)


@pytest.mark.parametrize(("gpus", "chosen"), [(0, "cpu"), (2, "cuda")])
def test_a_device_is_chosen_or_taken_as_named(monkeypatch, gpus, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert pipeline.choose_device("auto") == chosen
    with monkeypatch.context() as sweep:
        sweep.setattr(job, "number", lambda: 3)
        assert pipeline.choose_device("auto") == ("cuda:1" if gpus else "cpu")
    assert pipeline.choose_device("cpu") == "cpu"
    if gpus:
        assert pipeline.choose_device("cuda:1") == "cuda:1"
    for absent in ("cuda:2",) if gpus else ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"device={absent} is not there: PyTorch finds {gpus} GPUs; use device=a"):
            pipeline.choose_device(absent)
    for strange in ("gpu", None, "cuda:"):
        with pytest.raises(ValueError, match=f"device={strange} is not known: use auto, cpu, cuda or cuda:N"):
            pipeline.choose_device(strange)


def test_an_artifact_is_named_in_the_characters_that_wandb_allows():
    root = Path("/home/my study/12-00")
    assert pipeline.artifact_name(root, root) == "my-study-12-00"
    assert pipeline.artifact_name(root, root / "probe.inputs=[a,b]") == "my-study-12-00-probe.inputs-a-b-"


@pytest.mark.parametrize(
    ("data", "objects", "told"),
    [
        ({"test": 3}, 3, ""),
        (
            {"test": 3},
            5,
            "note: probe.objects=5, but split=test has 3 scenes, which were all studied; data.test=5 gives as many\n",
        ),
        ({"root": "mine"}, 5, "note: probe.objects=5, but split=test has 3 scenes, which were all studied\n"),
    ],
)
def test_fewer_scenes_than_asked_for_are_told_of(tmp_path, monkeypatch, caplog, data, objects, told):
    for name in ("run_study", "read_study", "draw_figures", "build_report", "print_results"):
        monkeypatch.setattr(pipeline, name, Mock())
    monkeypatch.setattr(pipeline, "write_provenance", Mock())
    monkeypatch.setattr(pipeline.wandb_results, "log_study", Mock())
    monkeypatch.setattr(job, "root_folder", lambda: tmp_path)
    monkeypatch.setattr(pipeline, "features_artifact", lambda _: None)
    study_inputs = Mock(spec=StudyInputs, scenes=[1, 2, 3], fingerprints={})
    cfg = DictConfig({"split": "test", "data": data, "logger": {"wandb": False}})
    pipeline.finish_study(cfg, study_inputs, Mock(spec=StudySettings, objects=objects), [], tmp_path)
    assert "".join(f"{message}\n" for message in caplog.messages) == told


def test_scenes_that_training_may_have_seen_are_noted(caplog):
    assert pipeline.split_notes("test") == pipeline.split_notes("val") == []
    for split in ("all", "train"):
        (note,) = pipeline.split_notes(split)
        assert note.startswith(f"split={split} has objects that the network may have been trained on")
        assert f"note: {note}" in caplog.messages


def test_the_reports_of_a_sweep_are_made_again(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pipeline, "draw_figures", Mock())
    monkeypatch.setattr(pipeline, "read_study", lambda folder: folder)
    monkeypatch.setattr(pipeline, "compare_settings", lambda folder: None)
    monkeypatch.setattr(pipeline, "build_report", lambda folder, drawings: folder / "study" / "report.html")
    for setting in ("seed=0", "seed=1"):
        (tmp_path / setting / "study").mkdir(parents=True)
        (tmp_path / setting / "study" / "results.csv").touch()
    pipeline.rebuild_report(tmp_path)
    assert [line.split("/")[-3] for line in capsys.readouterr().out.splitlines()] == ["seed=0", "seed=1"]

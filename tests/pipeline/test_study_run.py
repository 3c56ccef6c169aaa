"""Notes and reports of a study."""

import json
from unittest.mock import Mock

import pytest
from omegaconf import DictConfig

from gqn_probe.analysis import StudyInputs, StudySettings
from gqn_probe.pipeline import study_run
from gqn_probe.results import Difference, ObjectScore, Outcome, read_rows, write_study
from gqn_probe.run import job


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
def test_note_says_that_there_are_fewer_scenes_than_asked_for(tmp_path, monkeypatch, caplog, data, objects, told):
    for name in ("run_study", "read_study", "draw_figures", "build_report", "print_results"):
        monkeypatch.setattr(study_run, name, Mock())
    monkeypatch.setattr(study_run, "write_provenance", Mock())
    monkeypatch.setattr(study_run.log_results, "log_study", Mock())
    monkeypatch.setattr(job, "root_folder", lambda: tmp_path)
    monkeypatch.setattr(study_run, "features_artifact", lambda _: None)
    study_inputs = Mock(spec=StudyInputs, scenes=[1, 2, 3], fingerprints={})
    cfg = DictConfig({"split": "test", "data": data, "logger": {"wandb": False}})
    study_run.finish_study(cfg, study_inputs, Mock(spec=StudySettings, objects=objects), [], tmp_path)
    assert "".join(f"{message}\n" for message in caplog.messages) == told


def test_rebuild_report_draws_each_study_of_a_sweep(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(study_run, "draw_figures", Mock())
    monkeypatch.setattr(study_run, "read_study", lambda folder: folder)
    monkeypatch.setattr(study_run, "compare_settings", lambda folder: None)
    monkeypatch.setattr(study_run, "write_differences", lambda folder: [])
    monkeypatch.setattr(study_run, "build_report", lambda folder, drawings: folder / "study" / "report.html")
    for setting in ("seed=0", "seed=1"):
        (tmp_path / setting / "study").mkdir(parents=True)
        (tmp_path / setting / "study" / "results.csv").touch()
    study_run.rebuild_report(tmp_path)
    assert [line.split("/")[-3] for line in capsys.readouterr().out.splitlines()] == ["seed=0", "seed=1"]


def test_differences_of_a_sweep_are_made_of_its_per_object_scores(tmp_path):
    for setting, correct in (("checkpoint=a", 7.0), ("checkpoint=b", 14.0)):
        study = tmp_path / setting / "study"
        study.mkdir(parents=True)
        case = ("count", "whole", "none", "linear")
        scores = [ObjectScore(*case, None, "accuracy", each, correct, 14.0) for each in range(20)]
        headline = {"probe": "linear", "input": "whole"}
        write_study(study, Outcome([], [], [], [], headline, "", "", [], objects=scores), {})
        (study / "provenance.json").write_text(json.dumps({"data": "the same scenes"}))
    study_run.write_differences(tmp_path)
    (row,) = read_rows(tmp_path / "differences.csv", Difference)
    assert (row.setting, row.first, row.metric, row.value, row.objects) == (
        "checkpoint=b",
        "checkpoint=a",
        "accuracy",
        0.5,
        20,
    )

"""The study on the bundled network and on one that was never trained."""

from dataclasses import replace
from pathlib import Path

import pytest
from scripts import read_table

from gqn_probe.analysis import StudyInputs, StudySettings, run_count, run_study
from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.model import load_gqn


@pytest.mark.slow
def test_a_trained_network_predicts_what_an_untrained_one_cannot(settings: StudySettings, tmp_path: Path) -> None:
    scenes = render_scenes(40, views=16, seed=3)
    trained = StudyInputs(
        load_gqn("pretrained"), scenes, encode_cameras, "rendered", tmp_path / "cache", usable_views=15
    )
    settings = replace(settings, reconstruct=16, controls=("untrained", "shuffled"))
    found = {}
    for name, study_inputs in (("trained", trained), ("untrained", trained.untrained(0))):
        jobs = [run_count(study_inputs, count, settings, tmp_path / name / str(count)) for count in (2, 5, 9)]
        found[name] = read_table(run_study(study_inputs, settings, jobs, tmp_path / name / "study") / "results.csv")

    def value(name: str, **wanted: str) -> float:
        rows = [r for r in found[name] if all(r[column] == wish for column, wish in wanted.items())]
        return float(rows[0]["value"])

    error = {name: value(name, metric="sample_rmse", count="9") for name in found}
    assert error["trained"] < 0.8 * error["untrained"]
    for name in found:
        accuracy = {"metric": "accuracy", "seed": "", "count": "", "probe": "ridge"}
        assert value(name, control="none", **accuracy) > 0.6  # even chance weights tell a sum's number of terms
        assert value(name, control="untrained", **accuracy) > 0.6
        assert value(name, control="shuffled", **accuracy) == pytest.approx(1 / 3, abs=0.15)

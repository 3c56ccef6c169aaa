"""Mental rotation from the command line, with the bundled weights: turned scenes, and people beside classic objects."""

import csv
from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from scripts import call, read_table
from tiny import ROOT

from gqn_probe.analysis.rotation.arms import four_arm_objects

TINY = ["analysis.counts=[1,2]", "analysis.likelihood=1", "analysis.pairs=4"]


def values(folder: str, **wanted: str) -> list[float]:
    """Values of ``results.csv`` where columns have the wanted cells."""
    rows = read_table(Path(folder) / "study" / "results.csv")
    return [float(row["value"]) for row in rows if wanted.items() <= row.items()]


@pytest.mark.parametrize("experiment", ["mental_rotation", "classic_rotation", "rsa", "connections"])
def test_an_analysis_takes_any_data(experiment: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        data = [
            compose("probe", ["data=prepared", "data.root=x", *more]).data
            for more in ([], [f"experiment={experiment}"])
        ]
    assert data[0] == data[1]


@pytest.mark.slow
def test_objects_are_turned_in_depth_and_in_the_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    options = ["experiment=mental_rotation", "data.test=64", "analysis.objects=40", "analysis.angles=[0,90]", *TINY]
    done = call("probe.py", *options, "hydra.run.dir=run")
    assert done.code == 0, done.error
    for axis in ("depth", "plane"):
        own, other = (
            values("run", target=axis, control=control, metric="rmse", angle="0.0", count="2")[0]
            for control in ("none", "shuffled")
        )
        assert own < other
        sure, lost = (
            values("run", target=axis, control=control, metric="nats_above_floor", angle="0.0")[0]
            for control in ("none", "shuffled")
        )
        assert sure < lost
        for control in ("none", "held", "blank", "pixels", "shuffled", "untrained"):
            assert values("run", target=axis, control=control, metric="far_accuracy")
    drawn = {path.stem for path in Path("run/study/figures").glob("*.png")}
    assert drawn >= {"prediction-by-angle", "likelihood-by-angle", "same-or-mirror", "code-distance-by-angle"}
    assert "nan" not in Path("run/study/results.csv").read_text()


@pytest.mark.slow
def test_people_stand_beside_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Planted people: 1 s and 20 ms a degree; an object that all get wrong."""
    monkeypatch.chdir(tmp_path)
    objects, angles = [*four_arm_objects()][:4], (0, 50, 150)
    with Path("trials.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("subject", "stimulus", "angle", "rt", "correct", "same"))
        for who, (i, name), angle, same in product(range(6), enumerate(objects), angles, (0, 1)):
            out.writerow((who, name, angle, 1000 + 20 * angle + 10 * i + who, int(i > 0), same))
    options = ["experiment=classic_rotation", "analysis.trials=trials.csv", "analysis.angles=[0,50,150]", *TINY]
    done = call("probe.py", *options, "hydra.run.dir=run")
    assert done.code == 0, done.error
    assert values("run", target="people", metric="rt_slope") == pytest.approx([20], abs=0.01)
    assert values("run", target="people", metric="accuracy") == pytest.approx([0.75] * 3)
    assert values("run", target="people", metric="item_errors_ceiling", control="none", probe="error") == [1.0]
    assert Path("run/study/figures/people-by-angle.png").is_file()

"""Studies of several settings on one page, in one table and one figure."""

# pyright: reportArgumentType=false, reportIndexIssue=false, reportOptionalMemberAccess=false
# matplotlib types what it draws as anything array-like

import json
import shutil
from pathlib import Path

import pytest
from scripts import read_table

from gqn_probe.report.compare import compare_settings, draw_comparison
from gqn_probe.report.sweep_settings import collect_measures, paired_differences, pairs_by_group, read_settings
from gqn_probe.results import Difference, write_rows


@pytest.fixture(scope="module")
def sweep(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of two seeds each; the second checkpoint reads the count better."""
    folder = tmp_path_factory.mktemp("sweep")
    for checkpoint, seed, accuracy in (("a", 0, 0.5), ("a", 1, 0.6), ("b#", 0, 0.8), ("b#", 1, 0.9)):
        study = folder / f"checkpoint={checkpoint},seed={seed}" / "study"
        study.mkdir(parents=True)
        text = (study_folder / "study" / "results.csv").read_text()
        old, new = ("count,pooled,none,linear,,test,,accuracy," + value for value in ("0.71,", f"{accuracy},"))
        assert old in text
        (study / "results.csv").write_text(text.replace(old, new))
        shutil.copy(study_folder / "study" / "summary.json", study)
    return folder


@pytest.mark.slow
def test_seeds_are_repetitions_and_their_spread_is_shown(sweep: Path):
    page = compare_settings(sweep)
    assert page == sweep / "compare.html"
    text = page.read_text(encoding="utf-8")
    row = text[text.index("<td>number of images</td>") :].split("</tr>")[0]
    assert "checkpoint=a<" in row
    assert ">0.550<" in row
    assert ">0.071<" in row  # the deviation of 0.5 and 0.6
    assert "differ in checkpoint, seed." in text
    assert "checkpoint=b# is better in number of images; not shown to differ in error of the prediction," in text
    assert 'href="checkpoint=b%23,seed=1/study/report.html"' in text


@pytest.mark.slow
def test_differences_are_paired_by_seed(sweep: Path):
    compare_settings(sweep)
    settings = read_settings(sweep)
    count = collect_measures(settings)[0]
    found = paired_differences(settings, count, "checkpoint=b#", "checkpoint=a")
    assert found is not None
    (value, low, high), seeds = found
    assert (seeds, value, low, high) == (2, *(pytest.approx(0.3),) * 3)  # b is better by as much at each seed
    assert "over seeds" in (sweep / "compare.html").read_text(encoding="utf-8")
    alone = paired_differences([s for s in settings if "seed=0" in s.name], count, "checkpoint=b#", "checkpoint=a")
    assert alone is not None
    assert alone[1] == 1
    assert alone[0].low < alone[0].value == pytest.approx(0.3)


def test_differences_over_objects_stand_beside_those_over_seeds(sweep: Path, tmp_path: Path):
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    for home in folder.glob("*/study"):
        (home / "provenance.json").write_text(json.dumps({"data": "ab"[home.parent.name.endswith("1")]}))
    first, pairs = pairs_by_group(read_settings(folder))
    assert first == "checkpoint=a"
    homes = {name: [(p.own.parent.name, p.first.parent.name, p.scenes) for p in each] for name, each in pairs.items()}
    assert homes == {"checkpoint=b#": [(f"checkpoint=b#,seed={s}", f"checkpoint=a,seed={s}", "ab"[s]) for s in (0, 1)]}
    rows = [Difference("checkpoint=b#", first, "count", "accuracy", None, 0.31, 0.301, 0.319, 120)]
    write_rows(folder / "differences.csv", Difference, rows)
    text = compare_settings(folder).read_text(encoding="utf-8")
    for cell in (">0.310<", "0.301 to 0.319", ">120<"):
        assert cell in text


def test_every_row_of_every_study_is_in_one_table(sweep: Path):
    compare_settings(sweep)
    overall = [
        r
        for r in read_table(sweep / "results.csv")
        if (r["metric"], r["count"], r["control"], r["probe"]) == ("accuracy", "", "none", "linear")
    ]
    told = {r["setting"]: float(r["value"]) for r in overall if r["split"] == "test" and r["target"] == "count"}
    assert told == {
        "checkpoint=a,seed=0": 0.5,
        "checkpoint=a,seed=1": 0.6,
        "checkpoint=b#,seed=0": 0.8,
        "checkpoint=b#,seed=1": 0.9,
    }


def test_a_panel_a_measure_a_dot_a_study(sweep: Path):
    settings = read_settings(sweep)
    measures = collect_measures(settings)
    assert [m.label for m in measures] == ["number of images", "error of the prediction", "mean colour", "shape"]
    figure = draw_comparison(settings, measures)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [(dot.get_xdata()[0], round(dot.get_ydata()[0])) for dot in dots] == [(0.5, 0), (0.6, 0), (0.8, 1), (0.9, 1)]
    assert len({dot.get_ydata()[0] for dot in dots}) == 4  # none hides another's interval


def test_a_sweep_over_the_context_alone_is_not_compared(study_folder: Path, tmp_path: Path):
    assert compare_settings(study_folder) is None
    assert json.loads((study_folder / "study" / "summary.json").read_text())
    assert compare_settings(tmp_path) is None

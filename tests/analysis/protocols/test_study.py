"""Jobs and study end to end: both ways agree, failures are named, the original protocol keeps its labels."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from scripts import read_table

from gqn_probe.analysis import StudyInputs, StudySettings, run_count, run_study
from gqn_probe.analysis.inputs.view_selection import nested_task
from gqn_probe.analysis.probes.linear import Linear
from gqn_probe.analysis.probes.perceptron import Perceptron
from gqn_probe.analysis.protocols import jobs as jobs_module
from gqn_probe.analysis.protocols.jobs import is_done, job_metadata
from gqn_probe.analysis.questions.controls import Control
from gqn_probe.data.store.store_reader import scene_names
from gqn_probe.types import to_unit

MIXED = Control("views of different objects", source="incoherent")


def _study(study_inputs: StudyInputs, settings: StudySettings, folder: Path, counts: range | list[int]) -> Path:
    jobs = [run_count(study_inputs, count, settings, folder / f"count-{count}") for count in counts]
    return run_study(study_inputs, settings, jobs, folder / "study")


@pytest.fixture
def quick(settings: StudySettings) -> StudySettings:
    linear = settings.probes["linear"]
    assert isinstance(linear, Linear)
    return replace(settings, seeds=2, probes={**settings.probes, "linear": replace(linear, epochs=3)})


@pytest.fixture
def bare(quick: StudySettings) -> StudySettings:
    """Settings for what concerns jobs and files, whatever is found."""
    return replace(quick, seeds=1, controls=(), probes={"linear": quick.probes["linear"]}, permutations=10, untrained=1)


@pytest.mark.slow
def test_jobs_apart_and_in_one_process_agree_to_the_last_digit(
    study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path
) -> None:
    quick = replace(quick, controls=("repeated", "shuffled", "untrained"))
    together = _study(study_inputs, quick, tmp_path / "together", [2, 3, 4])
    torch.manual_seed(123)  # jobs of a sweep start from other states, in any order
    apart = [run_count(study_inputs, count, quick, tmp_path / "apart" / str(count)) for count in (4, 2, 3)]
    study = run_study(study_inputs, quick, apart, tmp_path / "apart" / "study")
    for name in ("results.csv", "curves.csv", "confusion.csv", "similarity.csv"):
        assert (study / name).read_text() == (together / name).read_text()
    assert not list(study.glob(".*"))


@pytest.mark.slow
def test_a_study_of_more_rows_than_memory_holds_comes_to_the_same(
    study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path
) -> None:
    some = replace(quick, inputs=("whole",), controls=(), targets=("count", "second_moments"), widths=())
    jobs = [run_count(study_inputs, count, some, tmp_path / str(count)) for count in (2, 3)]
    found = []
    for memory in (1.0, 1e-9):
        study = run_study(study_inputs, replace(some, memory_gb=memory), jobs, tmp_path / f"study-{memory}")
        assert not list(study.glob(".*"))
        found.append({tuple(row.values())[:7]: float(row["value"]) for row in read_table(study / "results.csv")})
    assert any(key[0] == "second_moments" for key in found[0])
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-3, nan_ok=True)


@pytest.mark.slow
def test_every_control_and_split_is_reported(study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path) -> None:
    rows = read_table(_study(study_inputs, quick, tmp_path, [2, 3, 4]) / "results.csv")
    controls = {row["control"] for row in rows if row["target"] == "count"}
    assert controls == set(quick.control)
    pooled = [row for row in rows if row["metric"] == "accuracy" and not row["seed"] and not row["count"]]
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in pooled)
    headline = json.loads((tmp_path / "study" / "summary.json").read_text())["headline"]
    told = {row["control"]: row for row in pooled if (row["probe"], row["input"]) == ("linear", "pooled")}
    for name, control in (("accuracy", "none"), ("norm_only", "norm"), ("untrained", "untrained")):
        found = [headline[f"{name}{end}"] for end in ("", "_low", "_high")]
        assert found == [float(told[control][column]) for column in ("value", "low", "high")]
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    errors = [row for row in rows if row["target"] == "reconstruction" and row["metric"] == "rmse"]
    assert [row["count"] for row in errors] == ["2", "3", "4"]
    assert all(0 < float(row["value"]) < 255 for row in errors)


@pytest.mark.slow
def test_few_scenes_are_studied_without_the_controls_that_take_more(
    study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path
) -> None:
    few = replace(study_inputs, scenes=study_inputs.scenes[:6])
    some = replace(quick, controls=("incoherent",), control={**quick.control, "incoherent": MIXED}, targets=("count",))
    study = _study(few, some, tmp_path, [2, 3])
    assert {row["control"] for row in read_table(study / "results.csv") if row["target"] == "count"} == {"none", "norm"}
    assert "Control incoherent was left out: " in (study / "summary.json").read_text()


@pytest.mark.slow
def test_nothing_is_concluded_from_one_unseen_object(
    study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path
) -> None:
    few = replace(study_inputs, scenes=study_inputs.scenes[:3])
    study = _study(few, replace(quick, seeds=1, controls=(), targets=("count", "color")), tmp_path, [2, 3])
    assert not [row for row in read_table(study / "results.csv") if row["target"] == "color"]
    assert "No property of the objects was decoded" in (study / "summary.json").read_text()


def test_a_failed_job_is_named_and_left_out(study_inputs: StudyInputs, bare: StudySettings, tmp_path: Path) -> None:
    jobs = [run_count(study_inputs, count, bare, tmp_path / str(count)) for count in (2, 3)]
    (tmp_path / "count-09").mkdir()
    study = run_study(study_inputs, bare, [*jobs, tmp_path / "count-09"], tmp_path / "study")
    summary = json.loads((study / "summary.json").read_text())
    assert summary["counts"] == [2, 3]
    assert summary["failed"] == ["count-09"]
    with pytest.raises(ValueError, match="none of the 1 jobs left a result"):
        run_study(study_inputs, bare, [tmp_path / "count-09"], tmp_path / "none")


@pytest.mark.slow
def test_a_study_takes_only_what_belongs_to_it(
    study_inputs: StudyInputs, bare: StudySettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [run_count(study_inputs, count, bare, tmp_path / str(count)) for count in (2, 3)]
    other = replace(study_inputs, fingerprint="other data")
    jobs += [
        run_count(other, 4, bare, tmp_path / "4"),
        run_count(study_inputs, 5, replace(bare, seed=7), tmp_path / "5"),
    ]
    summary = json.loads((run_study(study_inputs, bare, jobs, tmp_path / "study") / "summary.json").read_text())
    assert (summary["counts"], summary["failed"], summary["left_out"]) == ([2, 3], [], ["4", "5"])
    assert (
        f"{tmp_path / '4'} is left out of the study, because it was made with other data; run it again"
        in caplog.messages
    )
    with pytest.raises(ValueError, match="none of the 2 jobs is of these weights, data and settings"):
        run_study(study_inputs, replace(bare, seed=9), jobs[:2], tmp_path / "none")


def test_a_job_is_done_until_what_it_depends_on_changes(
    study_inputs: StudyInputs, bare: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_count(study_inputs, 2, bare, tmp_path)
    assert is_done(folder, 2, job_metadata(study_inputs, bare))
    assert not is_done(folder, 3, job_metadata(study_inputs, bare))
    assert not is_done(folder, 2, job_metadata(study_inputs, replace(bare, reconstruct=2)))
    assert not is_done(folder, 2, job_metadata(study_inputs.untrained(3), bare))
    monkeypatch.setattr(jobs_module, "code_fingerprint", lambda: "other code")
    assert not is_done(folder, 2, job_metadata(study_inputs, bare))


def test_one_count_has_predictions_but_no_classifier(
    study_inputs: StudyInputs, bare: StudySettings, tmp_path: Path
) -> None:
    study = _study(study_inputs, bare, tmp_path, [3])
    assert {row["target"] for row in read_table(study / "results.csv")} == {"reconstruction"}
    assert "two or more" in json.loads((study / "summary.json").read_text())["answer"]


def test_a_count_beyond_the_views_is_refused(study_inputs: StudyInputs, bare: StudySettings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"context=6 is out of range: .* 5 usable views; use counts in 1\.\.5"):
        run_count(study_inputs, 6, bare, tmp_path)


def test_a_job_keeps_its_representations(study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path) -> None:
    folder = run_count(study_inputs, 4, quick, tmp_path)
    kept = load_file(folder / "representation.safetensors")
    assert kept["representation"].shape == (24, 6)
    assert (kept["views"].sum(dim=1) == 4).all()
    names = list(scene_names(study_inputs.scenes))
    with safe_open(folder / "representation.safetensors", "pt") as file:
        assert json.loads(file.metadata()["names"]) == names
    assert {(int(row["scene"]), row["name"]) for row in read_table(folder / "reconstruction.csv")} == {
        *enumerate(names[:3])
    }


@pytest.mark.slow
def test_original_protocol_keeps_its_labels(study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path) -> None:
    classifier = Perceptron(epochs=2, batch_size=32, learning_rate=1e-3, l2=(0.0,), hidden=8, standardize=False)
    original = replace(quick, protocol="original", seeds=1, probes={"original": classifier})
    study = _study(study_inputs, original, tmp_path, [2, 3, 4, 5])
    kept = load_file(tmp_path / "count-3" / "representation.safetensors")
    assert (kept["views"].sum(dim=1) == 2).all()  # label 3 is two context images and a query
    rows = [row for row in read_table(study / "results.csv") if row["target"] == "count"]
    accuracy = next(row for row in rows if row["metric"] == "accuracy" and not row["seed"] and not row["count"])
    assert accuracy["n"] == "20"  # the last fifth of 24 x 4 rows
    assert {row["split"] for row in rows} == {"train", "validation"}
    summary = json.loads((study / "summary.json").read_text())
    assert "Label n stands for n - 1 context images" in summary["convention"]
    width = study_inputs.features(("representation",))["representation"][0, 0].numel()
    assert f"20 validation rows of r, {width} numbers" in summary["answers"][0]["details"]
    assert summary["notes"] == [f"r of this network is {width} numbers; that of the original study was 256."]
    assert {row["control"] for row in rows} == {"none", "norm"}
    assert 0 <= summary["headline"]["norm_only_low"] <= summary["headline"]["norm_only"] <= 1
    curves = read_table(study / "curves.csv")
    assert {(row["split"], row["metric"]) for row in curves} == {
        (split, metric) for split in ("train", "validation") for metric in ("accuracy", "loss")
    }


def test_the_mean_image_is_of_views_that_are_not_asked_for(
    study_inputs: StudyInputs, quick: StudySettings, tmp_path: Path
) -> None:
    job = run_count(study_inputs, 2, quick, tmp_path / "job")
    some = study_inputs.scenes[: quick.reconstruct]
    query = nested_task(len(some), some.views, 2, quick.seed).query.tolist()
    images = to_unit(some.frames)
    others = torch.stack([images[s, v] for s in range(len(some)) for v in range(some.views) if v != query[s]])
    expected = [float(((others.mean(dim=0) - images[s, v]) ** 2).mean()) for s, v in enumerate(query)]
    rows = [float(row["value"]) for row in read_table(job / "reconstruction.csv") if row["metric"] == "mean_mse"]
    assert rows == pytest.approx(expected, rel=1e-4)

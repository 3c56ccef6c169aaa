"""Result files read back as rows."""

from dataclasses import replace
from pathlib import Path

import pytest

from gqn_probe.report.study_results import read_study
from gqn_probe.results import Answer, Interval, Outcome, Result, Similarity, read_rows, write_rows, write_study


def test_series_holds_out_and_ascends(study_folder: Path):
    study = read_study(study_folder)
    rows = study.series("accuracy", probe="linear")
    assert [row.count for row in rows] == list(range(2, 16))
    assert {row.split for row in rows} == {"test"}
    assert rows[0].value == pytest.approx(0.97)
    assert rows[0].low == pytest.approx(0.93)


def test_overall_never_mixes_splits(study_folder: Path):
    found = read_study(study_folder).overall("accuracy", probe="linear", input="pooled")
    assert found is not None
    assert (found.value, found.split) == (0.71, "test")


def test_study_folder_itself_is_taken_too(study_folder: Path):
    assert read_study(study_folder / "study").results == read_study(study_folder).results


def test_absent_files_are_empty(bare_folder: Path):
    study = read_study(bare_folder)
    assert (study.curves, study.confusion, study.similarity, study.pictures) == ((), (), (), {})
    assert study.chance == pytest.approx(1 / 14)


def test_no_study_names_the_folder(tmp_path: Path):
    with pytest.raises(ValueError, match=r"probe\.py wrote") as error:
        read_study(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_missing_column_is_named(tmp_path: Path):
    (tmp_path / "results.csv").write_text("target,input\ncount,pooled\n")
    with pytest.raises(ValueError, match="no column control, probe"):
        read_study(tmp_path)


def test_nan_is_left_out(tmp_path: Path):
    head = "target,input,control,probe,seed,split,count,metric,value,low,high,n\n"
    (tmp_path / "results.csv").write_text(head + "count,pooled,none,linear,,test,2,accuracy,nan,,,4\n")
    (tmp_path / "summary.json").write_text('{"headline": {"probe": "linear", "input": "pooled"}}')
    assert read_study(tmp_path).results == ()


@pytest.mark.parametrize("summary", [None, "{}", '{"headline": {"probe": "linear"}}'])
def test_a_headline_of_nothing_in_particular_is_refused(study_folder: Path, tmp_path: Path, summary: str | None):
    (tmp_path / "results.csv").write_bytes((study_folder / "study" / "results.csv").read_bytes())
    if summary is not None:
        (tmp_path / "summary.json").write_text(summary)
    with pytest.raises(ValueError, match=r"summary\.json does not say which probe and input .* run probe\.py again"):
        read_study(tmp_path)


def test_rows_are_read_as_they_were_written(tmp_path: Path):
    rows = (
        Result.pooled(("shape", "pooled", "none", "linear"), "accuracy", Interval(1 / 3, 0.1, 0.5), n=9, count=2),
        Result("shape", "pooled", "none", "linear", 0, "train", None, "accuracy", 0.1, train_objects=50),
    )
    write_rows(tmp_path / "rows.csv", Result, rows)
    assert read_rows(tmp_path / "rows.csv", Result) == rows


def test_a_learning_curve_is_no_series(study_folder: Path):
    study = read_study(study_folder)
    fewer = tuple(r._replace(train_objects=50) for r in study.results)
    assert replace(study, results=fewer).series("accuracy", probe="linear") == []


def test_a_row_cut_short_is_named(tmp_path: Path):
    write_rows(tmp_path / "rows.csv", Result, [])
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("count,pooled,none")
    with pytest.raises(ValueError, match=r"rows\.csv line 2 is truncated"):
        read_rows(tmp_path / "rows.csv", Result)


def test_a_cell_that_is_not_a_number_is_named(tmp_path: Path):
    write_rows(tmp_path / "rows.csv", Similarity, [("cosine", 2, 3, "high")])
    with pytest.raises(ValueError, match=r"rows\.csv line 2: could not convert string to float: 'high'"):
        read_rows(tmp_path / "rows.csv", Similarity)


def test_sentences_are_read_as_they_were_written(tmp_path: Path):
    answer = Answer("Can the count be read?", "Yes: 1 of 1.", 1.0, 0.9, 1.0, "the label-free tally")
    headline = {"probe": "linear", "input": "pooled"}
    write_study(tmp_path, Outcome([], [], [], [], headline, "Yes.", "", [], [answer]), {"objects": 3})
    study = read_study(tmp_path)
    assert study.answers == [answer]
    assert study.summary["objects"] == 3

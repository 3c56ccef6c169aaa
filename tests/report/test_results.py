"""Result files read back as rows."""

from pathlib import Path

import pytest

from gqn_probe.report.results import read_study


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

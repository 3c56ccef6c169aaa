"""Differences between settings, object by object, with planted ones."""

from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.statistics.setting_differences import object_differences
from gqn_probe.results import ObjectScore, StudyPair, write_rows


def _study(folder: Path, right: torch.Tensor, errors: torch.Tensor) -> Path:
    """Of 60 objects: rows of 14 read rightly, squared errors of a target, and of pictures."""
    folder.mkdir()
    rows = []
    for i, (hits, error) in enumerate(zip(right.tolist(), errors.tolist(), strict=True)):
        rows.append(ObjectScore("count", "whole", "none", "linear", None, "accuracy", i, hits, 14.0))
        rows.append(ObjectScore("color", "whole", "none", "ridge", 5, "r2", i, error, 2.0))
        rows.append(ObjectScore("reconstruction", "", "", "", 5, "sample_mse", i, error / 100, 1.0))
    write_rows(folder / "per_object.csv", ObjectScore, rows)
    return folder


def test_what_differs_by_as_much_in_each_object_is_told_sharply(tmp_path: Path) -> None:
    """Objects differ a lot, the settings by a little in each: intervals apart would overlap by far."""
    hits, errors = torch.arange(60.0) % 10, 0.1 + torch.arange(60.0) / 60
    first = _study(tmp_path / "a", hits, errors)
    better = _study(tmp_path / "b", hits + 1, errors - 0.05)
    found = {d.metric: d for d in object_differences({"b": [StudyPair(better, first, "x")]}, "a")}
    assert found["accuracy"].value == pytest.approx(1 / 14)
    assert found["accuracy"].low > 0
    assert found["r2"].value == pytest.approx(0.025)
    assert found["r2"].low == pytest.approx(found["r2"].high)
    roots = [255 * float((errors - shift).mean() / 100) ** 0.5 for shift in (0.05, 0.0)]
    assert found["sample_rmse"].value == pytest.approx(roots[0] - roots[1], rel=1e-4)
    assert found["sample_rmse"].high < 0
    assert {d.objects for d in found.values()} == {60}
    assert {(d.setting, d.first) for d in found.values()} == {("b", "a")}


def test_seeds_are_joined_and_measures_of_one_setting_left_out(tmp_path: Path) -> None:
    hits, errors = torch.arange(60.0) % 10, 0.1 + torch.arange(60.0) / 60
    studies = [_study(tmp_path / name, hits, errors) for name in "abcd"]
    pairs = {
        "b": [StudyPair(studies[0], studies[1], "x"), StudyPair(studies[2], studies[3], "y")],
        "old": [StudyPair(studies[0], tmp_path / "none", "x")],
    }
    found = list(object_differences(pairs, "a"))
    assert [(d.setting, d.objects, d.value) for d in found] == [("b", 120, 0.0)] * 3


def test_an_object_that_several_seeds_score_counts_once(tmp_path: Path) -> None:
    """Four seeds of the same scenes tell no more about other objects than one, if they agree."""
    random = torch.Generator().manual_seed(0)
    hits, errors = torch.randint(8, (2, 60), generator=random), torch.rand(2, 60, generator=random)
    own, first = (_study(tmp_path / name, hits[i].float(), errors[i]) for i, name in enumerate("ab"))
    once = {d.metric: d for d in object_differences({"b": [StudyPair(own, first, "x")]}, "a")}
    often = {d.metric: d for d in object_differences({"b": [StudyPair(own, first, "x")] * 4}, "a")}
    assert [d.objects for d in often.values()] == [60] * 3
    for metric, each in once.items():
        assert often[metric][5:8] == pytest.approx(each[5:8], rel=1e-2)

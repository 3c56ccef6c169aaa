"""Targets from a table of one's own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.labels import read_labels
from gqn_probe.analysis.questions.targets import Classes, Values
from gqn_probe.types import Scenes

NAMES = tuple(f"train.tfrecord#{i}" for i in range(24))


@pytest.fixture
def named(rendered: Scenes) -> Scenes:
    return replace(rendered, names=NAMES)


def _table(path: Path, weights: list[float]) -> Path:
    rows = [
        f"{name},{weight},{'heavy' if weight > 0 else 'light'}" for name, weight in zip(NAMES, weights, strict=True)
    ]
    path.write_text("\n".join(["scene,weight,kind", *reversed(rows)]) + "\n")
    return path


def test_numbers_are_values_and_words_are_classes(named: Scenes, tmp_path: Path) -> None:
    weights = torch.randn(24).tolist()
    found = read_labels(_table(tmp_path / "labels.csv", weights))
    views = nested(24, 6, 1, 0)
    value, kind = found["weight"](named, views), found["kind"](named, views)
    assert isinstance(value, Values)
    assert value.values[:, 0].tolist() == pytest.approx(weights)
    assert isinstance(kind, Classes)
    assert kind.labels.tolist() == [int(weight <= 0) for weight in weights]


def test_own_labels_are_decoded(
    study_inputs: StudyInputs, named: Scenes, settings: StudySettings, tmp_path: Path
) -> None:
    weights = torch.randn(24)
    path = _table(tmp_path / "labels.csv", weights.tolist())
    settings = replace(settings, labels=str(path), targets=("weight", "kind"), controls=())
    r = weights[:, None, None] * torch.rand(3, 6) + 0.01 * torch.randn(24, 3, 6)
    inputs = ProbeInputs(replace(study_inputs, scenes=named), (1, 2, 3), settings, tmp_path / "rows", r)
    rows = [row for row in TargetDecoder(inputs, settings).rows([]) if row.probe == "ridge" and not row.train_objects]
    assert min(row.value for row in rows if (row.target, row.metric) == ("weight", "r2")) > 0.9
    assert min(row.value for row in rows if (row.target, row.metric) == ("kind", "accuracy")) > 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,kind\na,b\n", "needs a column scene and one or more of labels, got"),
        ("scene\na\n", "needs a column scene and one or more of labels"),
        ("", "needs a column scene"),
        ("scene,shape\na,b\n", "has a column named as the target shape"),
        ("scene,kind\na,b\na,c\n", "has scene a twice"),
    ],
)
def test_tables_that_cannot_be_meant(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labels(path)


def test_missing_files_rows_and_names(named: Scenes, rendered: Scenes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_labels(tmp_path / "no.csv")
    path = tmp_path / "labels.csv"
    path.write_text(f"scene,kind\n{NAMES[0]},a\n")
    label = read_labels(path)["kind"]
    with pytest.raises(ValueError, match="gives no kind of 23 scenes, such as"):
        label(named, nested(24, 6, 1, 0))
    path.write_text("\n".join(["scene,kind", *(f"{row},{'ab'[row % 2]}" for row in range(24))]))
    found = read_labels(path)["kind"](replace(rendered, names=None), nested(24, 6, 1, 0))
    assert found[0].tolist() == [0, 1] * 12  # scenes without names go by their number

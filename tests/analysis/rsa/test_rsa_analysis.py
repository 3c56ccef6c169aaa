"""The analysis from scenes to page: what it finds of planted representations, and of subjects made from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.rsa import comparison
from gqn_probe.analysis.rsa.comparison import Cell, compare_rdms, pooled_rows, random_blocks
from gqn_probe.analysis.rsa.rdm_files import read_rdms
from gqn_probe.analysis.rsa.rsa_analysis import RepresentationalSimilarity
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study
from gqn_probe.results import Result, write_findings

SETTINGS = RepresentationalSimilarity(
    objects=24, context=[1, 3], inputs="all", models=["color", "shape", "mirror", "angle"],
    nuisances=["camera", "pixels", "blank"], labels=None, distance="correlation", untrained=1, bootstrap=40, seed=0,
    rdms=None, key=None,
)  # fmt: skip


def _rows(findings, metric: str, count: int) -> dict[str, float]:
    chosen = [
        r for r in findings.results if (r.metric, r.count, r.input, r.control) == (metric, count, "whole", "none")
    ]
    return {r.target: r.value for r in chosen}


def test_a_representation_of_the_cameras_alone_has_nothing_left(study_inputs: StudyInputs, tmp_path, monkeypatch):
    """An encoder that ignores images: r correlates with r of blank images at 1, and with nothing once that is out."""
    weight = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))

    def cameras_alone(frames: Tensor, cameras: Tensor) -> Tensor:
        return (cameras @ weight).relu()[..., None, None]

    monkeypatch.setattr(study_inputs.gqn.encoder, "forward", cameras_alone)
    findings = replace(SETTINGS, inputs=["whole"], untrained=0, distance="euclidean").run(study_inputs, tmp_path)
    assert _rows(findings, "rdm_correlation", 1)["blank"] == pytest.approx(1, abs=1e-5)
    assert _rows(findings, "rdm_partial_correlation", 1).keys() <= {"blank"}


def test_a_representation_of_the_colour_alone_is_found():
    """A planted cause among nuisances: the partial correlation names it, and no other."""
    rng = np.random.default_rng(0)
    known = {(name, 1): rng.normal(size=24 * 23 // 2) for name in ("color", "shape", "camera", "pixels")}
    cell = Cell("whole", "none", 1)
    made = {cell: known["color", 1] + 3 * known["camera", 1]}
    found = compare_rdms(made, known, ["camera", "pixels"], draws=100, rng=rng)
    rows = {(r.target, r.metric): r for r in pooled_rows([found])}
    assert rows["color", "rdm_correlation"].value == pytest.approx(10**-0.5, abs=0.1)
    assert rows["color", "rdm_partial_correlation"].value == pytest.approx(1, abs=1e-6)
    low, high = (getattr(rows["shape", "rdm_partial_correlation"], bound) for bound in ("low", "high"))
    assert low < 0 < high


def test_blocks_of_scenes_estimate_what_one_matrix_of_all_does(monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(160, 3))
    seen = points + 0.7 * rng.normal(size=points.shape)

    def estimate(blocks: list[np.ndarray]) -> Result:
        found = []
        for rows in blocks:
            known = {("shape", 1): pdist(points[rows])}
            found.append(compare_rdms({Cell("whole", "none", 1): pdist(seen[rows])}, known, [], draws=100, rng=rng))
        return next(pooled_rows(found))

    whole = estimate(random_blocks(160, seed=0))
    monkeypatch.setattr(comparison, "LARGEST", 50)
    blocks = random_blocks(160, seed=0)
    assert sorted(np.concatenate(blocks)) == list(range(160))
    assert [len(block) for block in blocks] == [40, 40, 40, 40]
    assert all(block.max() - block.min() > 80 for block in blocks)  # a store may be in the order of shapes
    pooled = estimate(blocks)
    assert pooled.n == 160
    assert pooled.value == pytest.approx(whole.value, abs=0.03)
    for bound in ("low", "high"):
        assert getattr(pooled, bound) == pytest.approx(getattr(whole, bound), abs=0.04)


@pytest.mark.slow
def test_more_scenes_than_a_matrix_holds_are_compared_in_blocks(study_inputs: StudyInputs, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "LARGEST", 9)
    findings = replace(SETTINGS, models=["color"], untrained=1).run(study_inputs, tmp_path)
    own = [r for r in findings.results if (r.target, r.input, r.metric) == ("color", "whole", "rdm_correlation")]
    assert {(r.n, r.control) for r in own} == {(24, "none"), (24, "untrained")}
    assert "24 scenes were compared in 3 random blocks of at most 8" in findings.notes[0]
    assert len(read_rdms(tmp_path / "rdms.h5").conditions) == 8
    assert not [*study_inputs.cache.glob("block-*")]
    with pytest.raises(ValueError, match="24 are too many: use analysis"):
        replace(SETTINGS, rdms="brain.npy").run(study_inputs, tmp_path)


@pytest.mark.slow
def test_from_scenes_to_page_with_subjects(study_inputs: StudyInputs, tmp_path: Path):
    """Subjects whose RDMs are those of r at 3 images, with noise, in another order: r at 3 images predicts them."""
    SETTINGS.run(study_inputs, tmp_path)
    made = read_rdms(tmp_path / "rdms.h5")
    r = made.vectors[made.subjects.index("whole k=3"), 0]
    rng = np.random.default_rng(0)
    order = rng.permutation(24)[:20]
    people = made._replace(vectors=(r + 0.5 * r.std() * rng.normal(size=(6, 1, len(r))))).of(order)
    brain = tmp_path / "brain.npy"
    np.save(brain, people.vectors[:, 0])
    brain.with_suffix(".txt").write_text("\n".join(people.conditions))
    findings = replace(SETTINGS, rdms=str(brain)).run(study_inputs, tmp_path)
    subjects = [row for row in findings.results if row.target == "subjects"]
    best = max((row for row in subjects if row.metric == "rdm_correlation"), key=lambda row: row.value)
    assert (best.input, best.control, best.count) == ("whole", "none", 3)
    bounds = {row.metric: row.value for row in subjects}
    assert bounds["ceiling_low"] - 0.03 < best.value < bounds["ceiling_high"]
    assert any("with those of the subjects" in answer.text for answer in findings.answers)
    assert any("mirror" in note for note in findings.notes) or _rows(findings, "rdm_correlation", 3)["mirror"]

    write_findings(tmp_path, "rsa", findings, {})
    study = read_study(tmp_path)
    drawn = draw_figures(study)
    assert {d.name for d in drawn} == {
        "rsa-models", "rsa-matrices", "rsa-read-outs", "rsa-second-order", "rsa-subjects"
    }  # fmt: skip
    assert "RDMs of r and of models" in build_report(study, drawn).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distance": "cosine"}, "use correlation or euclidean"),
        ({"models": ["size"]}, "no model RDM size; there are angle"),
        ({"nuisances": ["light"]}, "no nuisance light"),
        ({"inputs": "whole"}, r"analysis.inputs=\[whole\]"),
        ({"bootstrap": 2}, "analysis.bootstrap=2 is too small"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)

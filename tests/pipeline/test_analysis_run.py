"""An analysis takes the place of the study of counts: its files, figures, section and page; a sweep leaves it alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pytest
from matplotlib.figure import Figure
from omegaconf import DictConfig

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.pipeline import analysis_run, open_inputs, study_run
from gqn_probe.report import figure_registry, section_registry
from gqn_probe.report.compare import compare_settings
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study
from gqn_probe.results import Answer, Findings, Result
from gqn_probe.run import job

CONFIG = {
    "split": "test",
    "checkpoint": "pretrained",
    "cache": "cache",
    "seed": 0,
    "analysis": {"depth": 3},
    "logger": {"wandb": False},
}


@dataclass
class Sounding:
    """An analysis that measures nothing."""

    name: ClassVar[str] = "sounding"
    objects: int = 2

    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        (folder / "sounding.csv").write_text("depth\n3\n")
        row = Result("depth", "", "none", "lead", None, "test", 1, "accuracy", 0.75, 0.5, 1.0, 2)
        answer = Answer("How deep is it?", "3 fathoms (2 to 4).", 3, 2, 4, "the lead")
        return Findings("How deep?", [row], [answer], "A lead was let down.", facts={"fathoms": 3})


@pytest.fixture
def done(monkeypatch, tmp_path) -> Path:
    """The folder of a run of it."""
    monkeypatch.setattr(figure_registry, "FIGURES", dict(figure_registry.find_figures()))
    monkeypatch.setattr(section_registry, "SECTIONS", section_registry.SECTIONS)
    monkeypatch.delitem(section_registry.SECTIONS, "sounding", raising=False)

    @study_section("sounding", "What the lead said", "It was let down.")
    def section(study: Study) -> str:
        return f"<p>{study.summary['fathoms']} fathoms</p>" if study.analysis == "sounding" else ""

    @study_figure("sounding", "A line.", first=True)
    def line_of_lead(study: Study) -> Figure | None:
        return Figure() if (study.folder / "sounding.csv").is_file() else None

    inputs = Mock(spec=StudyInputs, scenes=[1, 2], fingerprints={"data": "d"}, device="cpu")
    monkeypatch.setattr(open_inputs, "open_study_inputs", lambda cfg, objects: inputs)
    monkeypatch.setattr(analysis_run, "network_artifact", lambda cfg, study_inputs: None)
    monkeypatch.setattr(job, "instantiate", lambda node: Sounding())
    monkeypatch.setattr(job, "root_folder", lambda: tmp_path)
    monkeypatch.setattr(analysis_run, "write_provenance", Mock())
    analysis_run.run_analysis(DictConfig(CONFIG), tmp_path)
    section_registry.SECTIONS.pop("sounding")
    return tmp_path


def test_an_analysis_leaves_its_files_and_a_page_of_its_own(done: Path, capsys):
    names = {path.name for path in (done / "study").iterdir()}
    assert names == {"results.csv", "summary.json", "sounding.csv", "report.html", "figures"}
    assert {path.stem for path in (done / "study" / "figures").iterdir()} == {"line-of-lead"}
    page = (done / "study" / "report.html").read_text()
    for text in ("How deep?", "Evidence: the lead", "<p>3 fathoms</p>", "A lead was let down."):
        assert text in page
    assert "3 fathoms <span>(2 to 4)</span>." in page
    for other in ("Can the number of images be decoded from r?", "What can be decoded from r?", "Of 2 objects"):
        assert other not in page
    study_run.rebuild_report(done)
    assert capsys.readouterr().out == f"report: {done}/study/report.html\n"


def test_analyses_of_a_sweep_are_not_compared_as_studies_of_counts(done: Path):
    for seed in (0, 1):
        (done / f"seed={seed}").mkdir()
        (done / f"seed={seed}" / "study").symlink_to(done / "study")
    assert compare_settings(done) is None


def test_a_section_has_one_place():
    with pytest.raises(ValueError, match="two sections are called counts"):
        study_section("counts", "Again")(lambda study: "")

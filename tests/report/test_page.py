"""The page as text: self-contained, complete, escaped."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gqn_probe.report import figure_registry, page
from gqn_probe.report.figure_registry import OF_COUNTS, Drawing, draw_figures, find_figures
from gqn_probe.report.html_elements import interval
from gqn_probe.report.study_results import read_study

pytestmark = pytest.mark.slow  # the whole page is drawn
SECTIONS = "viewer predictions knowledge counts controls similarity training methods reproduce"


@pytest.fixture(scope="module")
def drawings(study_folder: Path) -> list[Drawing]:
    return draw_figures(read_study(study_folder))


@pytest.fixture(scope="module")
def text(study_folder: Path, drawings: list[Drawing]) -> str:
    return page.build_report(read_study(study_folder), drawings).read_text(encoding="utf-8")


def test_every_figure_is_written_sharp(drawings: list[Drawing]):
    assert {d.name for d in drawings} == {name for name, each in find_figures().items() if each.section in OF_COUNTS}
    for drawing in drawings:
        with Image.open(drawing.png) as image:
            assert image.width >= 2 * 480
            assert np.ptp(np.asarray(image.convert("L"))) > 100
        assert "<svg" in drawing.png.with_suffix(".svg").read_text(encoding="utf-8")
    files = {f.name for f in drawings[0].png.parent.iterdir()}
    assert files == {f"{d.name}.{kind}" for d in drawings for kind in ("png", "svg")}


def test_it_has_every_section_in_order(text: str):
    assert re.findall(r'<section id="(\w+)"', text) == SECTIONS.split()


def test_the_answer_and_its_interval_come_first(text: str):
    head = text[: text.index("<section")]
    questions = re.findall(r"<h2>(.*?)</h2>", head)
    assert questions == ["Can the count be read?", "What do further images add?", "What does training add?"]
    assert "accuracy 0.71 <span>(95 % interval 0.67 to 0.75)</span>" in head
    assert "paired difference to untrained networks of one width" in head
    assert "+10.0 to +16.0" in text[text.index('<section id="counts"') :]
    assert "<figure" not in head  # the viewer comes next


def test_details_are_folded_below_what_they_detail(text: str):
    section = text[text.index('<section id="predictions"') :].split("</section>", maxsplit=1)[0]
    shown, folded = section.split("<summary>More figures</summary>")
    assert 'id="calibration-figure_1"' in shown
    assert 'id="samples-figure_1"' in folded.split("</details>")[0]


def test_it_needs_no_other_file(text: str):
    linked = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert [link for link in linked if not link.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)[^)]*\)|@import", text) == []


def test_every_setting_and_fingerprint_is_there(text: str):
    plain = text.replace("<wbr>", "")
    for name in ("data.views", "versions.torch", "checkpoint_fingerprint"):
        assert f"<dt>{name}</dt>" in plain
    assert "python probe.py -m context=2..15" in plain


def test_ids_are_unique(text: str):
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_bare_study_has_a_page_without_empty_sections(bare_folder: Path):
    study = read_study(bare_folder)
    text = page.render(study, draw_figures(study))
    assert re.findall(r'<section id="(\w+)"', text) == ["predictions", "counts", "controls", "reproduce"]


def test_one_count_alone_has_a_page_of_its_reconstructions(study_folder: Path, tmp_path: Path):
    study = read_study(study_folder)
    seven = tuple(r for r in study.results if r.target == "reconstruction" and r.count == 7)
    pictures = study.pictures | {"counts": np.array([7]), "query_seen": np.zeros((4, 1), bool)}
    headline = {"probe": "linear", "input": "pooled"}
    lone = replace(study, results=seven, curves=(), confusion=(), similarity=(), pictures=pictures)
    lone = replace(lone, summary=study.summary | {"headline": headline, "counts": [7]}, folder=tmp_path)
    shutil.copy(study.folder / "results.csv", tmp_path)
    text = page.render(lone, draw_figures(lone))
    assert re.findall(r'<section id="(\w+)"', text) == ["predictions", "methods", "reproduce"]
    assert "7 images" in text


def test_words_from_files_are_escaped_and_failures_named(study_folder: Path):
    study = read_study(study_folder)
    answers = [{"question": "<i>", "text": "a < b & $c"}]
    text = page.render(replace(study, summary=study.summary | {"answers": answers, "failed": [7]}), [])
    assert "&lt;i&gt;" in text
    assert "a &lt; b &amp; $c" in text
    assert "Job 7 failed" in text


def test_no_bound_is_minus_zero():
    assert interval(-0.001, 0.5) == "0.00 to 0.50"
    assert interval(None, 0.5) == ""


def test_every_metric_is_explained_where_it_stands(text: str):
    for id, words in (("predictions", "grey levels"), ("counts", "ROC"), ("controls", "share of correct predictions")):
        section = text[text.index(f'<section id="{id}"') :].split("</section>", maxsplit=1)[0]
        explained = section[section.index('<dl class="terms">') :]
        assert words in explained


def test_the_same_study_gives_the_same_page(study_folder: Path, monkeypatch: pytest.MonkeyPatch):
    study, every = read_study(study_folder), figure_registry.find_figures()
    monkeypatch.setattr(figure_registry, "FIGURES", {"model-loss": every["model-loss"]})
    assert page.render(study, draw_figures(study)) == page.render(study, draw_figures(study))

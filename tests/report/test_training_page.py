"""The page of a training run: curves beside baselines, pictures, what its columns mean, how to go on."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gqn_probe.report.training_curves import ERRORS, draw_curves, draw_probes, read_metrics
from gqn_probe.report.training_page import COLUMNS, build_training_report, main

HEAD = "epoch,step,train/kl,train/nats_above_floor,val/sample/rmse,val/shuffled/rmse,val/context_2/sample/rmse"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two validations of a run in a folder whose name a shell would split."""
    folder = tmp_path / "it's a run"
    (folder / "images").mkdir(parents=True)
    lines = [HEAD, "0,9,5.0,900,,,", "0,9,,,40.0,48.5,44.0", "0,19,6.0,500,,,", "0,19,,,31.5,49.0,36.0"]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    for step in range(8):
        Image.fromarray(np.full((4, 12, 3), 30 * step, np.uint8)).save(folder / "images" / f"{step:07d}.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "orbit.gif")
    (folder / "provenance.json").write_text(json.dumps({"config": {"name": "tiny"}, "revision": "abc"}))
    return folder


def test_the_page_has_what_there_is(run: Path):
    text = build_training_report(run).read_text(encoding="utf-8")
    assert re.findall(r'<section id="(\w+)"', text) == ["predictions", "curves", "next", "columns", "settings"]
    assert "Training of tiny, 20 steps" in text
    head = text[: text.index("<section")]
    assert re.findall(r"<dd>([\d.]+)</dd>", head) == ["31.5", "49.0"]
    assert text.count(' src="data:image/webp') == 5
    assert re.search(r'reduce\)" srcset="data:image/webp[^>]*><img alt="The camera moves', text)
    assert "step 0<" in text
    assert "Held-out objects at step 7." in head
    assert [link for link in re.findall(r'(?:src|href)="([^"]*)"', text) if not link.startswith(("#", "data:"))] == []


def test_commands_can_be_pasted(run: Path):
    text = build_training_report(run).read_text(encoding="utf-8")
    assert "it&#x27;&quot;&#x27;&quot;&#x27;s a run&#x27;" in text  # quoted for the shell, then for HTML


def test_curves_are_over_steps_with_empty_cells_left_out(run: Path):
    figure = draw_curves(read_metrics(run / "metrics.csv"), ERRORS, "RMSE", "linear")
    assert figure is not None
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["prediction", "from another scene's context"]
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[9, 40.0], [19, 31.5]]


def test_more_counts_than_colours_are_drawn():
    figure = draw_probes({f"val/probe/shape/linear/context_{count}": ([9.0], [0.1]) for count in range(1, 10)})
    assert figure is not None
    assert len(figure.axes[0].lines) == 9


def test_probes_have_a_panel_for_each_target_and_a_curve_for_each_count():
    scores = {"color/linear/context_2": 0.5, "color/nearest/context_15": 0.7, "count/linear": 1.0}
    figure = draw_probes({f"val/probe/{name}": ([9.0, 19.0], [0.1, value]) for name, value in scores.items()})
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["mean colour", "count"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["linear, 2 images", "nearest, 15 images"]
    assert draw_probes({"val/sample/rmse": ([9.0], [30.0])}) is None


def test_every_column_is_explained():
    names = [
        "step",
        "train/kl",
        "val/kl_step/3",
        "val/context_5/nearest_view/ssim",
        "val/probe/count/linear",
        "train/scenes_per_second",
    ]
    assert all(any(re.fullmatch(pattern, name) for pattern in COLUMNS) for name in names)


def test_a_folder_without_metrics_is_one_line(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"error: no metrics\.csv in .*: give an output folder of train\.py"):
        main([str(tmp_path)])


@pytest.mark.parametrize("content", ["", HEAD + "\n"])
def test_a_run_that_logged_nothing_yet_has_a_page(tmp_path: Path, content: str):
    (tmp_path / "metrics.csv").write_text(content)
    text = build_training_report(tmp_path).read_text(encoding="utf-8")
    assert "0 steps" in text
    assert "No validation has been run yet." in text
    assert re.findall(r'<section id="(\w+)"', text) == ["next"]

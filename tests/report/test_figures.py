"""Figures say what the rows say, and are left out where there are none."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import FIGURES, draw_figures, find_figures, study_figure
from gqn_probe.report.figures import accuracy, classifier_curves, count_geometry, decodability, predicted_views
from gqn_probe.report.page import render
from gqn_probe.report.study_results import Study, read_study


@pytest.fixture
def study(study_folder: Path) -> Study:
    return read_study(study_folder)


@pytest.mark.slow
def test_a_bare_study_draws_what_it_has_and_the_user_keeps_their_settings(bare_folder: Path):
    before = dict(matplotlib.rcParams)
    drawn = {d.name for d in draw_figures(read_study(bare_folder))}
    assert drawn == {"accuracy-by-count", "controls", "reconstruction-error"}
    assert dict(matplotlib.rcParams) == before


def test_a_figure_from_outside_is_one_function(bare_folder: Path, monkeypatch: pytest.MonkeyPatch):
    find_figures()
    monkeypatch.setattr("gqn_probe.report.figure_registry.FIGURES", {})

    @study_figure("controls", lambda study: f"of {study.probe} & others")
    def my_own(study: Study) -> Figure:
        figure = style.new_figure(2)
        figure.add_subplot().plot([0, 1])
        return figure

    study = read_study(bare_folder)
    (drawing,) = draw_figures(study)
    assert drawing.png == bare_folder / "study" / "figures" / "my-own.png"
    page = render(study, [drawing])
    assert "of linear &amp; others</figcaption>" in page[page.index('id="controls"') :]


def test_two_figures_of_one_name_are_refused():
    find_figures()

    def confusion(study: Study) -> None: ...

    with pytest.raises(ValueError, match="two figures are called confusion: in gqn_probe"):
        study_figure("counts", "")(confusion)
    assert FIGURES["confusion"].draw is accuracy.confusion


def test_accuracy_has_both_probes_and_chance(study: Study):
    figure = accuracy.accuracy_by_count(study)
    assert figure is not None
    whole, norm, chance = figure.axes[0].lines
    assert np.asarray(whole.get_ydata())[0] == pytest.approx(0.97)
    assert np.asarray(norm.get_ydata())[0] == pytest.approx(0.84)
    assert np.asarray(chance.get_ydata())[0] == pytest.approx(1 / 14)


def test_curves_have_the_original_axes(study: Study):
    reached, loss = classifier_curves.model_accuracy(study), classifier_curves.model_loss(study)
    assert reached is not None
    assert loss is not None
    axes = reached.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("model accuracy", "epoch", "accuracy")
    assert [text.get_text() for text in legend.get_texts()] == ["train", "validation"]
    assert loss.axes[0].get_title() == "model loss"


def test_controls_are_best_first(study: Study):
    values = [row.value for row in study.control_rows()]
    assert values == sorted(values, reverse=True)
    assert len(values) == 22


def test_controls_are_a_row_each_whatever_the_probes(study: Study):
    figure = accuracy.controls(study)
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[-1] == "r as it is"
    assert len(labels) == len(set(labels)) == 11


def test_geometry_has_a_panel_a_measure(study: Study):
    figure = count_geometry.geometry(study)
    assert figure is not None
    assert [len(np.asarray(axes.lines[0].get_xdata())) for axes in figure.axes] == [13, 13, 14]


def test_the_original_protocol_counts_the_query(study: Study):
    original = replace(study, summary=study.summary | {"settings": {"protocol": "original"}})
    figure = predicted_views.reconstruction_error(original)
    assert figure is not None
    assert figure.axes[0].get_xlabel() == "images drawn, the query among them"


def test_confusion_rows_sum_to_one(study: Study):
    figure = accuracy.confusion(study)
    assert figure is not None
    cells = np.asarray(figure.axes[0].collections[0].get_array()).reshape(14, 14)
    np.testing.assert_allclose(cells.sum(axis=1), 1)


def test_similarity_is_filled_on_both_sides(study: Study):
    figure = count_geometry.similarity(study)
    assert figure is not None
    cells = np.asarray(figure.axes[0].collections[0].get_array()).reshape(14, 14)
    np.testing.assert_array_equal(cells, cells.T)
    assert cells[0, 13] == pytest.approx(1 - 0.02 * 13)


def test_strip_shows_the_usual_counts_and_stars_a_seen_query(study: Study):
    assert predicted_views.shown_counts(study) == [2, 4, 8, 15]
    assert [predicted_views.count_title(study, k) for k in (8, 15)] == ["8 images", "15 images*"]


def _with_own_queries(study: Study) -> Study:
    """Each count asked for a grey view of its own, which the posterior reconstructs without error."""
    grey = {k: np.full((4, 16, 16, 3), 10 * k, np.uint8) for k in range(2, 16)}
    own = {f"{kind}_{k}": image for k, image in grey.items() for kind in ("truth", "reconstruction")}
    return replace(study, pictures=study.pictures | own)


def test_a_query_that_all_counts_share_is_shown_once(study: Study):
    figure = predicted_views.reconstructions(study, scenes=2)  # pyright: ignore[reportCallIssue]
    assert figure is not None
    assert len(figure.axes) == 2 * 2 * (1 + 4)
    assert [axes.get_title() for axes in figure.axes[:5]][:2] == ["true view", "2 images"]


def test_predictions_are_compared_with_the_query_of_their_own_count(study: Study):
    figure = predicted_views.reconstructions(_with_own_queries(study), scenes=1)  # pyright: ignore[reportCallIssue]
    assert figure is not None
    truths, samples, posteriors = (figure.axes[i : i + 4] for i in (0, 4, 8))
    labels = [axes.get_ylabel() for axes in (truths[0], samples[0], posteriors[0])]
    assert labels == ["true view", "predicted", "posterior"]
    assert [int(np.asarray(axes.images[0].get_array())[0, 0, 0]) for axes in truths] == [20, 40, 80, 150]
    assert [axes.get_xlabel() for axes in posteriors] == ["RMSE 0"] * 4
    assert "RMSE 0" not in [axes.get_xlabel() for axes in samples]


def test_curves_of_another_probe_than_the_headlines_say_so(study: Study):
    headline = {"probe": "knn", "input": "pooled"}
    figure = classifier_curves.model_loss(replace(study, summary=study.summary | {"headline": headline}))
    assert figure is not None
    assert figure.axes[0].get_title() == "model loss, linear"


def test_no_other_input_stands_in_for_the_headlines(study: Study):
    headline = {"probe": "linear", "input": "layer.conv4"}
    other = replace(study, summary=study.summary | {"headline": headline})
    drawn = (accuracy.accuracy_by_count, classifier_curves.model_loss, accuracy.confusion, decodability.decodability)
    for draw in drawn:
        assert draw(other) is None


def test_rmse_is_in_grey_levels():
    black, grey = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    assert predicted_views.rmse(black, grey) == 200


def test_inline_svg_follows_the_theme_and_keeps_its_ids_apart(study: Study):
    with style.style_context():
        figure = accuracy.accuracy_by_count(study)
        assert figure is not None
        one, two = (style.inline_svg(style.svg_text(figure, name), name, "a < b") for name in ("one", "two"))
    assert "var(--blue)" in one
    assert style.BLUE not in one
    assert 'aria-label="a &lt; b"' in one
    ids = {part.split('"')[0] for part in one.split('id="')[1:]}
    assert ids.isdisjoint(part.split('"')[0] for part in two.split('id="')[1:])


def test_knowledge_is_a_panel_a_property_beside_its_baselines(study: Study):
    """A target may have the name of a control, and is not called what the control is called."""
    named = replace(study, summary=study.summary | {"labels": {"shape": "shapes held out"}})
    of_r = study.series("accuracy", target="shape", probe="linear")
    rows = [r._replace(metric="chance", value=0.3) for r in of_r]
    rows += [r._replace(control="pixels", input="pixels", value=0.2) for r in of_r]
    rows += [r._replace(control="pixels", input="pixels", probe="knn", value=0.9) for r in of_r]  # not r's probe
    figure = decodability.decodability(replace(named, results=(*study.results, *rows)))
    assert figure is not None
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert [(name, axes.get_ylabel()) for name, axes in panels.items()] == [
        ("mean colour", "variance explained (R²)"),
        ("shape", "accuracy"),
    ]
    lines = {line.get_label(): np.asarray(line.get_ydata())[0] for line in panels["shape"].lines[:-1]}
    assert lines == pytest.approx({"r": 0.12, "untrained network": 0.1, "pixels": 0.2})
    assert np.asarray(panels["shape"].lines[-1].get_ydata()) == pytest.approx(0.3)
    assert np.asarray(panels["mean colour"].lines[-1].get_ydata()) == pytest.approx(0)


def test_learning_curves_are_of_the_largest_count(study: Study):
    of_r = study.series("accuracy", target="shape", probe="linear")[-1]
    rows = [r._replace(train_objects=n, value=n / 1000) for n in (500, 50) for r in (of_r, of_r._replace(count=14))]
    figure = decodability.learning_curves(replace(study, results=tuple(rows)))
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_xydata() == pytest.approx(np.array([[50, 0.05], [500, 0.5]]))

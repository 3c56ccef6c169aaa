"""Figures of uncertainty: the spread drawn is that of the samples, and a study without samples has none."""

# pyright: reportAttributeAccessIssue=false
# matplotlib types what it draws as anything array-like

from dataclasses import replace

import numpy as np
import pytest

from gqn_probe.report.figures import samples
from gqn_probe.results import Result
from gqn_probe.study_results import Study, read_study


@pytest.fixture
def study(study_folder) -> Study:
    return read_study(study_folder)


def test_spread_is_the_deviation_of_samples():
    drawn = np.full((2, 4, 4, 3), 100, np.uint8)
    drawn[0, 1, 2] = 100 + 32
    drawn[1, 1, 2] = 100 - 32
    picture = samples.spread(drawn)
    assert picture[1, 2].tolist() == [round(32 * 2**0.5 / 64 * 255)] * 3
    assert picture.sum() == 3 * int(picture[1, 2, 0])


def test_a_study_without_samples_has_no_such_figures(study: Study):
    pictures = {name: images for name, images in study.pictures.items() if not name.startswith("samples_")}
    rows = tuple(row for row in study.results if row.metric not in ("spread_rmse", "averaged_rmse"))
    study = replace(study, pictures=pictures, results=rows)
    assert samples.samples(study) is None
    assert samples.uncertainty(study) is None


def test_samples_of_the_fewest_and_of_the_most_images(study: Study):
    noise = np.random.default_rng(0)
    pictures = dict(study.pictures)
    for count, scale in ((2, 30), (4, 20), (8, 10), (15, 0)):
        truth = pictures[f"truth_{count}"][:, None].astype(float)
        drawn = truth + scale * noise.normal(size=(len(truth), 16, *truth.shape[2:]))
        pictures[f"samples_{count}"] = drawn.clip(0, 255).astype(np.uint8)
    figure = samples.samples(replace(study, pictures=pictures))
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes[:9]]
    assert titles == ["truth", "2 images", "", "", "spread", "15 images", "", "", "spread"]
    images = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[:9]]
    assert images[4].mean() > 50
    assert not images[8].any()


def test_curves_are_in_grey_levels_and_nats(study: Study):
    def row(metric: str, count: int, value: float) -> Result:
        return Result("reconstruction", "", "", "", None, "test", count, metric, value, value - 1, value + 1, 30)

    metrics = {"spread_rmse": 10.0, "averaged_rmse": 12.0, "kl": 50.0, "nats_above_floor": 400.0}
    rows = [row(metric, count, value / count) for metric, value in metrics.items() for count in (2, 15)]
    kept = [each for each in study.results if each.metric not in metrics]
    figure = samples.uncertainty(replace(study, results=(*kept, *rows)))
    assert figure is not None
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["spread of samples", "error of their mean"]
    assert left.lines[0].get_ydata().tolist() == [5.0, 10 / 15]
    assert [line.get_label() for line in right.lines] == ["KL", "likelihood, nats above floor"]

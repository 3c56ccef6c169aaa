"""Figures of uncertainty: the spread drawn is that of the samples, and a study without samples has none."""

# pyright: reportAttributeAccessIssue=false
# matplotlib types what it draws as anything array-like

from dataclasses import replace

import numpy as np
import pytest

from gqn_probe.report.figures import samples
from gqn_probe.report.study_results import Study, read_study
from gqn_probe.results import Result


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
    assert samples.calibration(study) is None


@pytest.mark.slow
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
    told = replace(study, results=(*kept, *rows))
    of_spread, of_nats = samples.uncertainty(told), samples.likelihood(told)
    assert of_spread is not None
    assert of_nats is not None
    (error, deviation), (above, kl) = (figure.axes[0].lines for figure in (of_spread, of_nats))
    assert [line.get_label() for line in (error, deviation)] == ["error of the mean of samples", "spread of samples"]
    assert deviation.get_ydata().tolist() == [5.0, 10 / 15]
    assert [line.get_label() for line in (above, kl)] == ["negative log-likelihood above a perfect prediction's", "KL"]


def test_pixels_that_are_as_wrong_as_unsure_lie_on_the_line():
    """Half of the object's pixels are sure, half unsure; the truth is drawn as the samples are."""
    noise = np.random.default_rng(0)
    object_ = np.full((4, 32, 32, 3), 128.0)
    object_[:, :8, :8] = 200  # the rest is background, of which nothing is asked
    scale = np.zeros((32, 32, 1))
    scale[:8, :4], scale[:8, 4:8] = 2, 20
    drawn = object_[:, None] + scale * noise.normal(size=(4, 16, 32, 32, 3))
    truth = object_ + scale * noise.normal(size=object_.shape)
    deviation, error = samples.pixel_errors(drawn.round().astype(np.uint8), truth.round().astype(np.uint8))
    assert len(deviation) == 4 * 64
    points = samples.group_by_spread(deviation, error)
    assert points[0][0] < 4
    assert points[-1][0] > 15
    for spread, wrong in points:
        assert 0.8 < wrong / spread < 1.3
    sure = samples.group_by_spread(deviation, 3 * error)
    assert all(y > 2 * x for x, y in sure)


def test_calibration_names_the_fewest_and_the_most_images(study: Study):
    figure = samples.calibration(study)
    assert figure is not None
    labels = [str(line.get_label()).partition(" (")[0] for line in figure.axes[0].lines[1:]]
    assert labels == ["2 images", "15 images"]

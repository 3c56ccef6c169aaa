"""Held-out prediction scores, against predictions whose quality is known."""

# pyright: reportIncompatibleMethodOverride=false, reportArgumentType=false
# networks here stand in for a GQN in what is asked of them

import pytest
import torch
from tiny import tiny_module

from gqn_probe.model import GQN, GQNOutput
from gqn_probe.training.metrics import (
    PredictionMetrics,
    color_cosine,
    held_out_episode,
    image_scores,
    nearest_view,
    object_color,
    object_mask,
    silhouette_iou,
)
from gqn_probe.types import Batch


def batch(views: int = 4, scenes: int = 3, size: int = 16) -> Batch:
    frames = torch.randint(256, (scenes, views, 3, size, size), dtype=torch.uint8)
    return Batch(frames, torch.randn(scenes, views, 7), torch.arange(scenes))


def scored(gqn: GQN, *batches: Batch) -> dict[str, torch.Tensor]:
    """Scores at two context views, with the same samples in every call."""
    metrics = PredictionMetrics((2,), 2)
    with torch.no_grad():
        for each in batches:
            torch.manual_seed(0)
            metrics.update(gqn, each)
    return metrics.compute()


def test_the_query_is_the_last_view_and_never_in_the_context():
    scenes = batch()
    episode = held_out_episode(scenes, 3)
    torch.testing.assert_close(episode.query_cameras[:, 0], scenes.cameras[:, 3])
    torch.testing.assert_close(episode.context_cameras, scenes.cameras[:, :3])
    with pytest.raises(ValueError, match="use at most 3"):
        held_out_episode(scenes, 4)


def test_nearest_view_is_nearest_in_position():
    scenes = batch()
    cameras = scenes.cameras.clone()
    cameras[:, 1, :3] = cameras[:, 3, :3] + 0.01
    episode = held_out_episode(scenes._replace(cameras=cameras), 3)
    torch.testing.assert_close(nearest_view(episode), episode.context_frames[:, 1])


def test_the_mean_image_holds_nothing_of_its_target():
    """On independent noise it errs as the noise's mean does, however few scenes a batch has."""
    gqn = tiny_module().gqn
    metrics = PredictionMetrics((1,), 1)
    with torch.no_grad():
        metrics.update(gqn, batch(views=40))
    assert float(metrics.compute()["mean_image/rmse"]) == pytest.approx(255 * (1 / 12) ** 0.5, rel=0.03)


def test_a_scene_alone_is_no_control_of_itself():
    gqn, many, alone = tiny_module().gqn, batch(), batch(scenes=1)
    expected, found = scored(gqn, many), scored(gqn, many, alone)
    of_others = {name for name in expected if "shuffled" in name or "other_camera" in name or "cosine" in name}
    assert {"shuffled/rmse", "context_2/shuffled/rmse", "other_camera/mse", "sample/color_cosine"} <= of_others
    assert all(torch.equal(found[name], expected[name]) for name in of_others)
    assert found["sample/rmse"] != expected["sample/rmse"]
    assert not of_others & scored(gqn, alone).keys()


def test_spread_is_that_of_samples_and_kl_that_of_the_query():
    class Dice(GQN):
        """Predicts grey levels of a known spread, away from the truth."""

        def __init__(self):
            torch.nn.Module.__init__(self)

        def encode(self, frames, cameras):
            return frames.new_zeros(len(frames), frames.shape[1], 1, 1, 1)

        def aggregate(self, phi):
            return phi.sum(dim=1)

        def sample_from(self, representation, cameras, *, size, samples):
            return 0.5 + 0.1 * torch.randn(samples * len(cameras), 3, *size)

        def predict(self, representation, truth, cameras):
            return GQNOutput(truth, representation, torch.full((len(truth),), 7.0), torch.zeros(len(truth), 1))

    black = batch(scenes=20, size=24)._replace(frames=torch.zeros(20, 4, 3, 24, 24, dtype=torch.uint8))
    found = scored(Dice(), black)
    assert float(found["sample/spread"]) == pytest.approx(25.5, rel=0.01)
    assert float(found["sample/mse"]) == pytest.approx(0.26, rel=0.01)
    assert float(found["mean_of_samples/mse"]) == pytest.approx(0.25 + 0.01 / 4, rel=0.01)
    assert float(found["context_2/kl"]) == 7.0


def test_silhouettes():
    truth = torch.full((3, 3, 16, 16), 0.5)
    truth[:2, 0, 4:12, 4:12] = 1.0
    half = truth.clone()
    half[0, 0, 8:12] = 0.5
    half[1] = 0.5
    assert silhouette_iou(half, truth).tolist() == [0.5, 0.0, 1.0]


def test_predictions_have_the_size_of_the_frames():
    settings = tiny_module().gqn.settings()
    for part in ("encoder", "generator"):
        settings[part]["pooled"] = True  # the representation does not tell the size
    assert scored(GQN.from_settings(settings), batch(size=24))["sample/rmse"].isfinite()


def test_scores_of_known_errors():
    truth = torch.full((2, 3, 16, 16), 0.5)
    truth[:, 0, 4:12, 4:12] = 1.0
    wrong = truth.clone()
    wrong[:, :, 4:12, 4:12] += 0.1  # on the object alone, a quarter of the image
    scores = image_scores(wrong, truth)
    torch.testing.assert_close(scores["mse"], torch.full((2,), 0.0025))
    torch.testing.assert_close(scores["object_mse"], torch.full((2,), 0.01))
    torch.testing.assert_close(scores["psnr"], torch.full((2,), 26.0206))
    torch.testing.assert_close(image_scores(truth, truth)["ssim"], torch.ones(2))


def test_an_image_without_object_has_no_object_error():
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert image_scores(flat, flat)["object_mse"].isnan().all()


def test_similarity_does_not_suffer_from_mixed_precision():
    truth = torch.rand(2, 3, 16, 16)
    close = (truth + 0.01).clamp(0, 1)
    expected = image_scores(close, truth)["ssim"]
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(image_scores(close, truth)["ssim"], expected)


def frame_with_square(color: tuple[float, float, float]) -> torch.Tensor:
    """A 16x16 frame, grey graded from top to bottom and left to right, with a coloured square in it."""
    grey = torch.linspace(0.4, 0.6, 16)[:, None] + torch.linspace(0, 0.1, 16)
    frame = grey.expand(3, 16, 16).clone()
    frame[:, 4:10, 5:9] = torch.tensor(color)[:, None, None]
    return frame[None]


def test_mask_is_the_square_whatever_the_grading():
    mask = object_mask(frame_with_square((1.0, 0.0, 0.0)))
    assert mask.sum() == 24
    assert mask[0, 4:10, 5:9].all()


def test_color_is_that_of_the_square_and_zero_without_one():
    frames = frame_with_square((1.0, 0.25, 0.0))
    torch.testing.assert_close(object_color(frames, object_mask(frames)), torch.tensor([[1.0, 0.25, 0.0]]))
    assert object_color(frames, torch.zeros(1, 16, 16, dtype=torch.bool)).abs().sum() == 0


def test_cosine_tells_right_from_wrong_colours():
    colors = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    truth = torch.cat([frame_with_square(color) for color in colors])
    torch.testing.assert_close(color_cosine(truth, truth), torch.ones(3))
    torch.testing.assert_close(color_cosine(truth.roll(1, dims=0), truth), torch.full((3,), -0.5))

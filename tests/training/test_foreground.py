"""Object pixels and colours, on frames whose answer is known."""

import torch

from gqn_probe.training.metrics import color_cosine, object_color, object_mask


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

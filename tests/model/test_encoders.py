"""Encoders: shapes, read-out points, and that a camera need not be spread."""

import pytest
import torch
from torch.nn.functional import conv2d

from gqn_probe.model import Pyramid, Tower
from gqn_probe.model.conditioning import convolve_constant


@pytest.mark.parametrize(("kernel", "height", "width"), [(5, 6, 9), (3, 4, 4), (5, 2, 3), (1, 3, 3)])
def test_convolving_a_constant_map(kernel: int, height: int, width: int) -> None:
    weight, values = torch.randn(4, 3, kernel, kernel), torch.randn(2, 3)
    spread = values[:, :, None, None].expand(-1, -1, height, width)
    expected = conv2d(spread, weight, padding=kernel // 2)
    torch.testing.assert_close(convolve_constant(weight, values, height, width), expected)


@pytest.mark.parametrize(
    ("encoder", "last", "shape"),
    [
        (Tower(width=16, channels=12, pooled=False), "conv8", (12, 8, 6)),
        (Tower(width=16, channels=12, pooled=True), "pool", (12, 1, 1)),
        (Pyramid(channels=16, size=32), "conv4", (16, 1, 1)),
    ],
)
def test_read_out_points_end_in_the_representation(encoder: Tower | Pyramid, last: str, shape: tuple[int, ...]) -> None:
    size = (32, 32) if isinstance(encoder, Pyramid) else (32, 24)
    frames, cameras = torch.rand(2, 3, *size), torch.randn(2, 7)
    points = encoder.layers(frames, cameras)
    assert list(points)[-1] == last
    assert torch.equal(points[last], encoder(frames, cameras))
    assert points[last].shape == (2, *shape)
    assert (points[last] >= 0).all()

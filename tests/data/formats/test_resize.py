"""Resized frames: exact means of blocks, anti-aliased otherwise."""

import pytest
import torch

from gqn_probe.data.formats.resize import resize_frames


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_pixel_is_the_mean_of_its_block_rounded_half_up(factor: int) -> None:
    small = 8
    frames = torch.randint(0, 256, (2, 3, 3, small * factor, small * factor), dtype=torch.uint8)
    frames[0, 0, :, :factor, :factor] = torch.arange(factor) % 2 * 255
    blocks = frames.long().unfold(3, factor, factor).unfold(4, factor, factor).sum(dim=(-1, -2))
    expected = (2 * blocks + factor**2) // (2 * factor**2)
    assert torch.equal(resize_frames(frames, small), expected.to(torch.uint8))


def test_halves_of_halves_are_as_good_as_quarters() -> None:
    frames = torch.randint(0, 256, (1, 2, 3, 64, 64), dtype=torch.uint8)
    twice, once = resize_frames(resize_frames(frames, 32), 16), resize_frames(frames, 16)
    assert (twice.int() - once.int()).abs().max() <= 1


@pytest.mark.parametrize("size", [6, 24])
def test_other_sizes_are_smooth(size: int) -> None:
    ramp = torch.linspace(0, 255, 16).round().to(torch.uint8).expand(1, 1, 3, 16, 16)
    row = resize_frames(ramp, size)[0, 0, 0, 0].int()
    assert (row.diff() >= 0).all()
    assert abs(row.float().mean() - 127.5) < 1.5


def test_nothing_changes_at_the_same_size_or_without_frames() -> None:
    frames = torch.randint(0, 256, (1, 2, 3, 8, 8), dtype=torch.uint8)
    assert resize_frames(frames, 8) is frames
    assert resize_frames(frames[:, :0], 4).shape == (1, 0, 3, 4, 4)
    with pytest.raises(ValueError, match="to 0 pixels: expected at least 1"):
        resize_frames(frames, 0)

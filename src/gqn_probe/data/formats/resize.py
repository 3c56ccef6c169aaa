"""Resize frames: exact means of blocks of pixels where the size allows, else anti-aliased."""

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

RESIZE_VERSION = 2  # raise it when the same frames give others, so that older stores are not reused
IMAGES_AT_ONCE = 1000  # each takes up to ten times its memory


def resize_frames(frames: UInt8[Tensor, "*n c h w"], size: int) -> UInt8[Tensor, "*n c {size} {size}"]:
    """Resize frames to ``size`` pixels on their device.

    If ``size`` divides height and width, each pixel is the exact mean of its block, rounded half up, on every device.
    Otherwise frames are resized bilinearly with anti-aliasing.

    Raises:
        ValueError: the size is below 1.
    """
    if size < 1:
        raise ValueError(f"cannot resize frames to {size} pixels: expected at least 1")
    height, width = frames.shape[-2:]
    if (height, width) == (size, size):
        return frames
    if not frames.numel():
        return frames.new_empty(*frames.shape[:-2], size, size)
    blocks = (height // size, width // size) if height % size == width % size == 0 else None
    parts = frames.flatten(0, -4).split(IMAGES_AT_ONCE)
    resized = [_bilinear(part, size) if blocks is None else _block_means(part, blocks) for part in parts]
    return torch.cat(resized).unflatten(0, frames.shape[:-3])


def _block_means(frames: UInt8[Tensor, "n c h w"], block: tuple[int, int]) -> UInt8[Tensor, "n c _ _"]:
    count = block[0] * block[1]
    sums = avg_pool2d(frames.float(), block, divisor_override=1)  # whole numbers, hence exact
    return sums.add_(count // 2).div_(count).floor_().to(torch.uint8)


def _bilinear(frames: UInt8[Tensor, "n c h w"], size: int) -> UInt8[Tensor, "n c {size} {size}"]:
    if frames.device.type == "cpu":
        return interpolate(frames, (size, size), mode="bilinear", antialias=True)
    smooth = interpolate(frames.float(), (size, size), mode="bilinear", antialias=True)
    return smooth.round_().clamp_(0, 255).to(torch.uint8)

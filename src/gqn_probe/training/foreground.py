"""Which pixels show the object, and what colour it has there.

Most of a frame is background, which any model learns at once: an error over the object's pixels alone, and the
colour a prediction gives them, tell whether the context was used.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cosine_similarity


def object_mask(frames: Float[Tensor, "b c h w"], threshold: float = 0.1) -> Bool[Tensor, "b h w"]:
    """Pixels that differ from the background by more than ``threshold`` in some channel.

    The background of a row is read off its first and last pixel, which no centred object reaches, and
    interpolated between them: that is exact for plain and linearly graded backgrounds.
    """
    left, right = frames[..., :1], frames[..., -1:]
    position = torch.linspace(0, 1, frames.shape[-1], device=frames.device)
    background = torch.lerp(left, right, position)
    return ((frames - background).abs() > threshold).any(dim=1)


def object_color(frames: Float[Tensor, "b c h w"], mask: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c"]:
    """Mean colour over the masked pixels; zeros where a mask is empty."""
    weight = rearrange(mask, "b h w -> b 1 h w").to(frames.dtype)
    return (frames * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp_min(1)


def color_cosine(predicted: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Cosine between the object colours of prediction and truth, both less the mean true colour of the batch.

    1 means the right hue, 0 no relation; a prediction that ignores its context scores near 0.
    """
    mask = object_mask(truth)
    true = object_color(truth, mask)
    center = true.mean(dim=0)
    return cosine_similarity(object_color(predicted, mask) - center, true - center, dim=1)

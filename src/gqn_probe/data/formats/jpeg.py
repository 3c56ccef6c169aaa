"""Decode JPEGs with libjpeg-turbo (simplejpeg), in threads: decoding releases the GIL."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import simplejpeg
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

FREE_BYTES = 64 << 20  # of pixels that a file of any size may decode to
MAX_RATIO = 64  # of decoded to encoded bytes beyond that: a frame of one colour has about 50
IMAGES_A_THREAD = 120  # decoded by a thread before it takes the next


def jpeg_size(image: bytes) -> tuple[int, int]:
    """Return height and width; ValueError if the bytes are not a JPEG."""
    if image[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    return int(height), int(width)


def max_decoded_bytes(encoded: int) -> int:
    """Return the most bytes of pixels that are decoded from ``encoded`` bytes."""
    return FREE_BYTES + MAX_RATIO * encoded


def check_unpacked(size: int, packed: int) -> None:
    """Raise ValueError where ``packed`` bytes would unpack to ``size`` bytes or more, which no images do."""
    if size > max_decoded_bytes(packed):
        raise ValueError(f"it unpacks to {size:,} bytes or more, far more than {packed:,} bytes of images can hold")


def check_memory(height: int, width: int, images: int, encoded: int) -> None:
    """Raise ValueError where images would decode to far more memory than their ``encoded`` bytes can hold."""
    pixels = 3 * height * width * images
    if pixels > max_decoded_bytes(encoded):
        raise ValueError(
            f"{images} frames of {height}x{width} would take {pixels:,} bytes, far more than {encoded:,} bytes can hold"
        )


def decode_jpegs(
    images: Sequence[bytes], height: int, width: int, damaged: dict[int, str] | None = None
) -> UInt8[Tensor, "n 3 {height} {width}"]:
    """Decode images of one size, in parallel.

    Args:
        damaged: gets the reason for each image that cannot be decoded or has another size, whose pixels are then 0.

    Raises:
        ValueError: without ``damaged``, for the first such image.
    """
    reasons: dict[int, str] = {} if damaged is None else damaged
    frames = np.empty((len(images), 3, height, width), np.uint8)

    def decode(first: int) -> None:
        pixels = np.empty((min(IMAGES_A_THREAD, len(images) - first), height, width, 3), np.uint8)
        for row, image in enumerate(images[first : first + IMAGES_A_THREAD]):
            try:
                _decode_into(pixels[row], image)
            except ValueError as error:
                reasons[first + row] = str(error)
                pixels[row] = 0
        frames[first : first + IMAGES_A_THREAD] = rearrange(pixels, "n h w c -> n c h w")

    runs, threads = range(0, len(images), IMAGES_A_THREAD), torch.get_num_threads()
    list(map(decode, runs) if threads == 1 or len(runs) == 1 else _pool(threads).map(decode, runs))
    if reasons and damaged is None:
        raise ValueError(f"image {min(reasons)} is not a whole JPEG ({reasons[min(reasons)]})")
    return torch.from_numpy(frames)


def _decode_into(pixels: UInt8[np.ndarray, "h w 3"], image: bytes) -> None:
    # Each call releases the GIL and waits to get it back, so the header is read separately only for the message.
    try:
        # The fast DCT is TensorFlow's default: the bytes are those that DeepMind's reader gives.
        if simplejpeg.decode_jpeg(image, "RGB", fastdct=True, buffer=pixels).shape == pixels.shape:
            return
    except ValueError:
        if jpeg_size(image) == pixels.shape[:2]:
            raise
    (height, width), found = pixels.shape[:2], jpeg_size(image)
    raise ValueError(f"expected {height}x{width} pixels, got {found[0]}x{found[1]}")


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "jpeg")

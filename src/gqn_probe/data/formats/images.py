"""Read image files as frames: 8 bits a channel, upright, opaque, optionally cropped to a square."""

from io import BytesIO

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError
from torch import Tensor

from gqn_probe.data.formats.jpeg import check_unpacked
from gqn_probe.data.formats.resize import resize_frames

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA")  # none of which starts another program
MOST_PIXELS = 50_000_000
BYTES_A_PIXEL = 4  # in Pillow
CROPS = ("center", "resize")


def read_image(
    content: bytes, label: str, *, size: int | None, crop: str, background: str | None
) -> UInt8[Tensor, "3 h w"]:
    """Read one image as a frame, rotated as its EXIF orientation says.

    Args:
        label: name of the image in messages.
        size: height and width; None keeps those of the image.
        crop: "center" cuts out the largest central square; "resize" keeps all, and ``size`` then distorts it.
        background: colour (a name or #rrggbb) behind transparent pixels; None refuses them.

    Raises:
        ValueError: it is no image, too large, of more than 8 bits a channel, or transparent.
    """
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"it has {image.width}x{image.height} pixels, the most is {MOST_PIXELS:,}: resize it")
        check_unpacked(BYTES_A_PIXEL * image.width * image.height, len(content))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError:
        raise ValueError(f"{label} is no readable image: save it as one of {', '.join(FORMATS)}") from None
    except Exception as error:  # every format has errors of its own
        raise ValueError(f"{label} is no readable image: {error}") from None
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"{label} has more than 8 bits a channel ({image.mode}): convert it")
    if image.has_transparency_data:
        image = _opaque(image.convert("RGBA"), label, background)
    if crop == "center":
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side))
    image = image if image.mode == "RGB" else image.convert("RGB")
    frame = torch.from_numpy(np.stack([np.asarray(channel) for channel in image.split()]))
    return frame if size is None else resize_frames(frame[None], size)[0]


def check_color(background: str | None) -> None:
    """Raise ValueError for what Pillow cannot parse as a colour."""
    try:
        if background is not None:
            ImageColor.getrgb(background)
    except ValueError:
        raise ValueError(f"data.background={background} is not a colour: use a name such as white or #rrggbb") from None


def _opaque(image: Image.Image, label: str, background: str | None) -> Image.Image:
    if image.getchannel("A").getextrema()[0] == 255:
        return image
    if background is None:
        raise ValueError(f"{label} is transparent in places: set data.background, or flatten it onto one")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image)

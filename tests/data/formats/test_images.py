"""Image files become upright, opaque, square frames; those that take too much memory are refused."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gqn_probe.data.formats import images
from gqn_probe.data.formats.images import read_image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(content: bytes, **settings: Any) -> torch.Tensor:
    return read_image(content, "a.png", **{"size": None, "crop": "center", "background": None} | settings)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # How a camera stores the picture that is upright once it is turned as its EXIF tag says.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    frame = read(encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **quality))
    difference = frame.permute(1, 2, 0).int() - torch.from_numpy(upright).int()
    assert difference[2:6, 2:6].abs().max() < 30
    assert difference.float().abs().mean() < 12


def test_a_wide_image_is_cropped_or_resized() -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    content = encoded(Image.fromarray(wide))
    assert torch.equal(read(content), torch.full((3, 4, 4), 200, dtype=torch.uint8))
    assert read(content, crop="resize").shape == (3, 4, 8)
    squeezed = read(content, crop="resize", size=4)
    assert squeezed[0, 0].tolist() == [0, 200, 200, 0]
    assert read(content, size=2).shape == (3, 2, 2)


def test_what_is_transparent_needs_a_background() -> None:
    clear = encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
    with pytest.raises(ValueError, match=r"a.png is transparent in places: set data.background"):
        read(clear)
    assert read(clear, background="white").unique().tolist() == [255]
    assert read(clear, background="#102030")[:, 0, 0].tolist() == [16, 32, 48]
    assert read(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 255))))[:, 0, 0].tolist() == [255, 0, 0]


def test_what_asks_for_too_much_or_starts_programs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 100)
    with pytest.raises(ValueError, match=r"a.png is no readable image: it has 11x10 pixels, the most is 100"):
        read(encoded(Image.new("RGB", (11, 10))))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    with pytest.raises(ValueError, match=r"a.png is no readable image: save it as one of JPEG, PNG"):
        read(eps)

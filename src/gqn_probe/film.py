"""Animations (WebP and GIF by Pillow, MP4 by ffmpeg), labelled columns and contact sheets of pictures."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gqn_probe.atomic_io import atomic_write
from gqn_probe.choices import check_choice

FORMATS = ("webp", "gif", "mp4")
QUALITIES = (90, 80, 70, 60, 50, 40, 30, 20)  # of WebP, tried in turn until a film is below its size limit
LETTERS = (13, 22)  # pixels: smallest and largest font of column titles

Picture = UInt8[np.ndarray, "_ _ 3"]  # of any size


def check_format(name: str) -> None:
    """Raise ValueError if a format is unknown, or is mp4 and there is no ffmpeg."""
    check_choice("film", name, FORMATS)
    if name == "mp4" and find_ffmpeg() is None:
        raise ValueError('film=mp4 needs ffmpeg: pip install "gqn-probe[mp4]", or use film=webp or film=gif')


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg, of the system or of imageio-ffmpeg, or None."""
    if (found := shutil.which("ffmpeg")) is not None:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe  # pyright: ignore[reportMissingImports]  (of an extra)
    except ModuleNotFoundError:
        return None
    return get_ffmpeg_exe()


def save_film(
    pictures: Sequence[Picture], path: Path, *, milliseconds: int | list[int] = 120, megabytes: float | None = None
) -> None:
    """Write pictures of one size as a looping animation, in the format of the path's suffix.

    Args:
        milliseconds: duration of each picture, or of all.
        megabytes: size limit; the quality of WebP is lowered until the file fits.

    Raises:
        ValueError: the film exceeds the limit at the lowest quality, or the format cannot be written.
    """
    check_format(path.suffix[1:])
    with atomic_write(path) as draft:
        if path.suffix == ".mp4":
            _save_mp4(pictures, draft, milliseconds)
            return
        first, *rest = (Image.fromarray(np.asarray(picture)) for picture in pictures)
        told = {"save_all": True, "append_images": rest, "duration": milliseconds, "loop": 0}
        if path.suffix == ".gif":
            first.save(draft, format="gif", **told)
            return
        for quality in QUALITIES:
            first.save(draft, format="webp", quality=quality, method=4, **told)
            if megabytes is None or draft.stat().st_size <= 1e6 * megabytes:
                return
        size = draft.stat().st_size / 1e6
        raise ValueError(f"{path} would take {size:.1f} MB, more than {megabytes}: show fewer or smaller pictures")


def _save_mp4(pictures: Sequence[Picture], path: Path, milliseconds: int | list[int]) -> None:
    """Write H.264 by ffmpeg; sides are cropped to even lengths, which it requires."""
    rate = 1000 / (milliseconds if isinstance(milliseconds, int) else sum(milliseconds) / len(milliseconds))
    height, width = (length // 2 * 2 for length in pictures[0].shape[:2])
    raw = b"".join(np.ascontiguousarray(picture[:height, :width]).tobytes() for picture in pictures)
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{rate:.4f}", "-i", "-"]
    made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18", "-movflags", "+faststart", str(path)]
    command = [find_ffmpeg() or "ffmpeg", "-y", "-loglevel", "error", *given, *made]
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"ffmpeg could not write {path.name}: {reason[-1] if reason else done.returncode}")


def enlarged(picture: Picture, times: int) -> Picture:
    """Return a picture with each pixel repeated to a square of ``times`` pixels."""
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def labelled(columns: Mapping[str, Picture]) -> Picture:
    """Return pictures of one height side by side, each under its name, in a font that fits the columns."""
    widths = [column.shape[1] for column in columns.values()]
    letters = int(min(max(min(widths) / 6, LETTERS[0]), LETTERS[1]))
    picture = Image.fromarray(np.concatenate([*columns.values()], axis=1))
    head = round(1.7 * letters)
    whole = Image.new("RGB", (picture.width, picture.height + head), "white")
    whole.paste(picture, (0, head))
    pen, left = ImageDraw.Draw(whole), 0
    for name, width in zip(columns, widths, strict=True):
        font = ImageFont.load_default(size=letters)
        if (length := font.getlength(name)) > 0.96 * width:
            font = ImageFont.load_default(size=max(6, letters * 0.96 * width / length))
        pen.text((left + width / 2, head / 2), name, fill="black", anchor="mm", font=font)
        left += width
    return np.asarray(whole)


def contact_sheet(pictures: Sequence[Picture], columns: int, gap: int = 4) -> Picture:
    """Return all pictures in one, in rows of ``columns``, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet

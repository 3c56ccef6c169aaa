"""Films and sheets: every picture in its place, in the format of the name, and no larger than asked."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gqn_probe.film import contact_sheet, enlarged, find_ffmpeg, labelled, save_film

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], np.uint8)
PICTURES = [np.tile(colour, (16, 24, 1)) for colour in COLOURS]


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_pictures_follow_one_another(kind, tmp_path):
    path = tmp_path / f"film.{kind}"
    save_film(PICTURES, path, milliseconds=[100, 200, 300])
    with Image.open(path) as film:
        shown = [np.asarray(frame.convert("RGB"))[8, 8] for frame in ImageSequence.Iterator(film)]
        assert film.size == (24, 16)
        assert film.info["loop"] == 0
    assert np.abs(np.array(shown).astype(int) - COLOURS).max() < 12  # both formats are lossy


def test_a_film_is_no_larger_than_asked(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    free, bound = tmp_path / "free.webp", tmp_path / "bound.webp"
    save_film(list(noise), free)
    limit = 0.8 * free.stat().st_size / 1e6
    save_film(list(noise), bound, megabytes=limit)
    assert bound.stat().st_size <= 1e6 * limit
    with pytest.raises(ValueError, match=r"would take .* MB, more than 0\.0001: show fewer"):
        save_film(list(noise), tmp_path / "none.webp", megabytes=0.0001)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bound.webp", "free.webp"]


def test_formats_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="film=avi is not known: use webp, gif or mp4"):
        save_film(PICTURES, tmp_path / "film.avi")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match="film=mp4 needs ffmpeg"):
        save_film(PICTURES, tmp_path / "film.mp4")


@pytest.mark.skipif(find_ffmpeg() is None, reason="needs ffmpeg")
def test_an_mp4_holds_every_picture(tmp_path):
    """Decoded again, colours and order are those given; odd sides are cut."""
    path = tmp_path / "film.mp4"
    save_film([np.pad(picture, ((0, 1), (0, 1), (0, 0)), mode="edge") for picture in PICTURES], path)
    command = [find_ffmpeg(), "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    shown = np.frombuffer(raw, np.uint8).reshape(-1, 16, 24, 3)
    assert len(shown) == len(PICTURES)
    assert np.abs(shown[:, 8, 8].astype(int) - COLOURS).max() < 30  # colour is at half resolution, and in 16 to 235


def test_a_sheet_has_rows_of_columns():
    sheet = contact_sheet(PICTURES, columns=2, gap=2)
    assert sheet.shape == (16 + 2 + 16, 24 + 2 + 24, 3)
    assert [sheet[y, x].tolist() for y, x in ((8, 8), (8, 40), (26, 8))] == COLOURS.tolist()
    assert sheet[26, 40].tolist() == [255, 255, 255]


def test_columns_stand_under_their_names():
    shown = labelled({"truth": enlarged(PICTURES[0], 2), "from 5 images": PICTURES[1].repeat(2, axis=0)})
    head = len(shown) - 32
    assert shown.shape[1] == 48 + 24
    assert shown[head + 8, 8].tolist() == COLOURS[0].tolist()
    assert shown[head + 8, 60].tolist() == COLOURS[1].tolist()
    assert shown[:head].min() < 255  # something is written

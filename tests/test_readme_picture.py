"""The README's film: its pictures are those of held-out objects, from more and more images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_module

from gqn_probe import readme_picture
from gqn_probe.model import save_weights

TINY = ["data.size=16", "data.views=5", "data.train=0", "data.val=0", "data.test=24", "probe.objects=24"]


@pytest.mark.slow
def test_a_film_of_as_many_pictures_as_were_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme_picture, "FRAMES", {1: 1, 3: 2})
    drawn: list[readme_picture.Film] = []
    draw = readme_picture.draw_film
    monkeypatch.setattr(readme_picture, "draw_film", lambda film: drawn.append(film) or draw(film))
    weights = tmp_path / "weights.safetensors"
    save_weights(tiny_module().gqn, weights, {})
    places = [f"checkpoint={weights}", f"data.cache={tmp_path}", f"cache={tmp_path}"]
    path = readme_picture.make_picture([*TINY, *places], tmp_path / "film.webp", shown=(0, 2))
    with Image.open(path) as film:
        assert film.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]
    (made,) = drawn
    assert [[frame.count for frame in frames] for frames in made.objects] == [[1, 3, 3]] * 2
    assert made.azimuths == [0, 120, 240]
    one, _, three = (frame.context for frame in made.objects[0])
    assert (one[:16, :16] == three[:16, :16]).all()  # the first image stays where it is
    assert (one[:16, 20:36] == 255).all()
    assert np.ptp(three[:16, 20:36]) > 0


def test_without_a_place_the_command_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        readme_picture.main(["checkpoint=somewhere"])
    assert "python -m gqn_probe.readme_picture OUT.webp" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"error: .*probe\.object"):
        readme_picture.main(["out.webp", "probe.object=3"])

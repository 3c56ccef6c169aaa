"""The README's picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gqn_probe.report import readme_picture
from gqn_probe.study_results import Study, read_study


@pytest.fixture
def study(study_folder: Path) -> Study:
    return read_study(study_folder)


def test_readme_picture_is_of_one_query(study: Study):
    own = {f"truth_{k}": np.full((4, 16, 16, 3), 10 * k, np.uint8) for k in range(2, 16)}
    with pytest.raises(ValueError, match="another query at each count"):
        readme_picture.readme_picture(replace(study, pictures=study.pictures | own))


def test_readme_picture_is_made_by_command(study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    readme_picture.main([str(study_folder), str(tmp_path / "out.png")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.width > 2000


def test_readme_picture_needs_pictures(bare_folder: Path, tmp_path: Path):
    with pytest.raises(SystemExit, match="no pictures"):
        readme_picture.main([str(bare_folder), str(tmp_path / "out.png")])

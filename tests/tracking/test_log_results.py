"""What W&B is told of a study, read back from the files of an offline run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from report.conftest import write_study

from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.study_results import read_study
from gqn_probe.tracking.log_results import log_study
from gqn_probe.tracking.wandb_run import RunLogger


@pytest.mark.slow
def test_a_study_is_in_the_files_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewer as a page that works alone, each figure, and the tables."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    study = read_study(write_study(tmp_path / "study"))
    drawings = draw_figures(study)
    with wandb.init(dir=tmp_path, project="p", settings=wandb.Settings(silent=True)) as run:
        log_study([RunLogger(experiment=run)], study, drawings)
        media = Path(run.dir) / "media"
    (viewer,) = media.glob("html/viewer*.html")
    page = viewer.read_text(encoding="utf-8")
    assert 'class="viewer"' in page
    assert "data:image/webp;base64," in page
    assert "http" not in page.replace("http://www.w3.org", "")
    solids = [json.loads(path.read_text()) for path in sorted(media.glob("object3D/cubes/from 15_*.pts.json"))]
    labels = [
        [(box["label"], np.mean(box["corners"], axis=0).round(2).tolist()) for box in each["boxes"]] for each in solids
    ]
    assert sorted(labels) == [
        [("0.30", [-1, 0, 0]), ("0.70", [0, 0, 0]), ("0.70", [1, 0, 0])],
        [("0.70", [-1, 0, 0]), ("0.70", [0, 0, 0]), ("0.30", [1, 0, 0])],
    ]
    pictures = {path.name.rsplit("_", 2)[0] for path in media.glob("images/figures/*.png")}
    assert pictures == {drawing.name for drawing in drawings}
    assert {path.name.split("_")[0] for path in media.glob("table/*.json")} >= {"confusion", "embedding"}


def test_a_study_without_viewer_logs_none(tmp_path: Path) -> None:
    from unittest.mock import Mock

    logger: Any = RunLogger(experiment=Mock(spec=wandb.Run, summary=Mock()))
    log_study([logger], read_study(write_study(tmp_path / "bare", full=False)))
    assert not any("viewer" in call.args[0] for call in logger.experiment.log.call_args_list)

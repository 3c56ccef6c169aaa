"""A dataset from outside the package: a source in a file of its own and a YAML, trained on and prepared."""

from pathlib import Path

import pytest
import torch
from fitting import fit
from hydra import compose, initialize_config_dir
from scripts import ROOT
from tiny import tiny_module

from gqn_probe.data import from_source, prepare
from gqn_probe.data.store.store_index import read_index
from gqn_probe.run import job

SOURCE = '''
import torch
from gqn_probe.data.sources.source import Piece
from gqn_probe.types import Lens, Scenes


class Stripes:
    """Scenes of one grey level each, which is their number in the dataset."""

    def __init__(self, *, scenes: int, size: int) -> None:
        self.scenes, self.size = scenes, size

    def identity(self) -> dict:
        return {"kind": "stripes", "scenes": self.scenes, "size": self.size}

    def find_lens(self) -> Lens:
        return Lens("perspective", scale=None)

    def pieces(self) -> list[Piece]:
        return [Piece("train", "0"), Piece("train", "1"), Piece("test", "0")]

    def relative_size(self, piece: Piece) -> int:
        return self.scenes

    def read(self, piece: Piece, on_error=None) -> Scenes:
        level = torch.arange(self.scenes, dtype=torch.uint8) + 100 * int(piece.name)
        frames = level[:, None, None, None, None].expand(-1, 5, 3, self.size, self.size).contiguous()
        return Scenes(frames, torch.rand(self.scenes, 5, 5))
'''
CONFIG = """
# Scenes of one grey level each.
_target_: gqn_probe.data.from_source
source: stripes.Stripes
scenes: 10
size: 8
seed: 0
batch_size: 4
num_workers: 0
camera_order: cos_sin
fraction: 1.0
cache: outputs/cache/data
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of ``stripes.py`` and ``data/stripes.yaml``."""
    (tmp_path / "stripes.py").write_text(SOURCE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stripes.yaml").write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_own_dataset_is_chosen_by_its_yaml_and_trained_on(folder: Path) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        search = f"hydra.searchpath=[file://{folder}]"
        cfg = compose("train", [search, "data=stripes", "data.scenes=12", "data.size=16", f"data.cache={folder}/cache"])
    data = job.instantiate(cfg.data)
    shown = data.scenes("test").frames
    assert torch.equal(shown, torch.arange(12, dtype=torch.uint8)[:, None, None, None, None].expand(-1, 5, 3, 16, 16))
    assert len(data.split("train")) + len(data.split("val")) == 24  # the validation split is held out from training
    assert fit(tiny_module(), data=data, max_steps=1, limit_val_batches=0).global_step == 1


def test_own_dataset_is_prepared_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "CONF", folder / "data")
    assert prepare.main(["source=stripes", f"out={folder}/store", "scenes=3", "workers=0"]) == 0
    assert "9 scenes in 3 shards" in capsys.readouterr().out
    assert read_index(folder / "store").source == {"kind": "stripes", "scenes": 3, "size": 8}


def test_source_that_cannot_be_imported_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"data\.source=stripes\.Dots is not a class that can be imported"):
        from_source(
            source="stripes.Dots", cache="", seed=0, batch_size=1, num_workers=0, camera_order="cos_sin", fraction=1.0
        )

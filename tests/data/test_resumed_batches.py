"""Resumed training sees the batches that uninterrupted training sees."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from data_modules import rendered, store
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from gqn_probe.data import SceneDataModule, render_scenes
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.data.store.store_index import Index
from gqn_probe.types import Batch


class Recorder(LightningModule):
    """Remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown: list[tuple[list[int], int]] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.shown.append((batch.scenes.tolist(), int(batch.frames.long().sum())))
        return self.weight.sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        assert batch.frames.shape[1] == 3

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    data: SceneDataModule, folder: Path, steps: int, *, resume: bool = False, **settings: Any
) -> list[tuple[list[int], int]]:
    module = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=3,
        num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)],
        **settings,
    )
    trainer.fit(module, datamodule=data, ckpt_path=str(folder / "last.ckpt") if resume else None)
    return module.shown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize(("stop", "workers"), [(3, 0), (8, 0), pytest.param(10, 2, marks=pytest.mark.slow)])
def test_resumed_training_sees_what_uninterrupted_training_sees(
    shared: Path, tmp_path: Path, online: bool, stop: int, workers: int
) -> None:
    def data() -> SceneDataModule:
        return rendered(shared, online=online, num_workers=workers)

    expected = fit(data(), tmp_path / "whole", 12)  # an epoch has 8 steps
    begun = fit(data(), tmp_path / "parts", stop)
    assert begun + fit(data(), tmp_path / "parts", 12, resume=True) == expected
    ids = [scene for batch, _ in expected for scene in batch]
    assert len(set(ids)) == 96 if online else len(set(ids)) <= 70


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Address of a store of 10 training shards of 4 scenes, and one of 8 each for validation and test."""
    folder = tmp_path / "store"
    folder.mkdir()
    shards = [
        write_shard(folder, split, f"{number:05d}", render_scenes(scenes, views=3, size=8, seed=number, stream=split))
        for split, number, scenes in [*(("train", n, 4) for n in range(10)), ("val", 0, 8), ("test", 0, 8)]
    ]
    Index({"kind": "test"}, tuple(shards), lens={"kind": "orthographic", "scale": 0.8}).write(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_training_from_a_url_goes_on_in_mid_epoch(url: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")

    def data(cache: str) -> SceneDataModule:
        return store(url, batch_size=8, num_workers=2, window=12, cache=str(tmp_path / cache))

    expected = fit(data("first"), tmp_path / "whole", 8, limit_val_batches=0)  # an epoch has 5 steps
    assert len({scene for batch, _ in expected[:5] for scene in batch}) == 40
    begun = fit(data("second"), tmp_path / "parts", 3, limit_val_batches=0)
    assert begun + fit(data("second"), tmp_path / "parts", 8, resume=True, limit_val_batches=0) == expected

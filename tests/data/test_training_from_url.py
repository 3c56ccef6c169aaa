"""Training by the script from a store behind an HTTP server, with worker processes, resumed in mid-epoch."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from scripts import call
from tiny import TINY, rows

from gqn_probe.data import render_scenes
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.data.store.store_index import Index

OF_RENDERED = ("data.size", "data.views", "data.train", "data.val", "data.test", "data.parts")


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Address of a store of 10 training shards of 4 scenes, and one of 8 each for validation and test."""
    folder = tmp_path / "store"
    folder.mkdir()
    shards = [
        write_shard(folder, split, f"{number:05d}", render_scenes(scenes, views=5, size=16, seed=number, stream=split))
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
def test_a_run_from_a_url_goes_on_in_mid_epoch_to_the_same_numbers(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.chdir(tmp_path)
    tiny = [setting for setting in TINY if not setting.startswith(OF_RENDERED)]
    shared = [*tiny, "data=prepared", f"data.root={url}", "data.num_workers=2", "data.window=12", "logger.wandb=false"]
    whole = call("train.py", *shared, "data.cache=cache-1", "hydra.run.dir=whole")
    assert whole.code == 0, whole.error
    # An epoch has 5 steps; step 3, where the checkpoint is, lies in the middle of one.
    error = ["+callbacks.error._target_=interruptions.ErrorAt", "+callbacks.error.step=4", "+callbacks.error.rank=0"]
    assert "rank 0 broke" in call("train.py", *shared, *error, "data.cache=cache-2", "hydra.run.dir=parts").error
    rest = call("train.py", "resume=parts", "~callbacks.error")
    assert rest.code == 0, rest.error
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")

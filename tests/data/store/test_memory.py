"""Reading a store of any size takes little memory."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gqn_probe.data import render_scenes
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.data.store.store_index import Index

READ = """
import sys
from gqn_probe.data import from_source
settings = {"size": None, "lens": None, "seed": 0, "batch_size": 36, "num_workers": 0, "camera_order": "cos_sin"}
settings |= {"source": "gqn_probe.data.store.prepared_store.PreparedStore", "fraction": 1.0}
data = from_source(root=sys.argv[1], cache="", kept_gb=1, window=1, **settings)
scenes = sum(len(batch.frames) for batch in data.train_dataloader())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(scenes, int(peak.split()[1]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_an_epoch_of_twenty_thousand_scenes_stays_under_a_gigabyte(tmp_path: Path) -> None:
    one = write_shard(tmp_path, "train", "00000", render_scenes(64, views=15, split="train"))
    shards = [replace(one, piece=f"{number:05d}") for number in range(480)]
    for shard in shards[1:]:
        os.link(tmp_path / one.file, tmp_path / shard.file)  # memory is counted for each map, if not on the disk
    Index({"kind": "test"}, tuple(shards)).write(tmp_path)
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=True)
    scenes, peak = map(int, done.stdout.split())
    assert scenes > 20_000  # the rest is held out
    assert sum(shard.bytes for shard in shards) > 3.8e9
    batch = 36 * 15 * 3 * 64 * 64
    assert peak < 1e9 + batch

"""How fast scenes are read: ``python tests/benchmarks/store_speed.py [--rounds 7]``. Prints a markdown table.

The store against gunzip-and-unpickle of the PyTorch port's files of 64 scenes, and TFRecords in one and two processes
against Pillow in one, both on scenes of 15 views of 64x64. Each pair takes turns, so that whatever else the machine
does meets both; a ratio is the median over rounds.
"""

import argparse
import gzip
import io
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import google_crc32c
import numpy as np
import simplejpeg
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gqn_probe.data import read_tfrecord, render_scenes
from gqn_probe.data.formats.deepmind import EncodedScene, EncodedScenes, decode_scenes, parse_scene
from gqn_probe.data.formats.tfrecord import read_records
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Scenes, to_unit

SCENES = 64  # in a file
FILES = 32  # TFRecords
BATCH = 32  # scenes that are made floats at once


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, ours: Callable[[], object], baseline: Callable[[], object], rounds: int, files: int = 1) -> None:
    """Print how many times faster ours is."""
    for each in (ours, baseline):
        each()
    ratios = [seconds(baseline) / seconds(ours) for _ in range(rounds)]
    rate = files * SCENES / statistics.median(seconds(ours) for _ in range(rounds))
    print(f"| {name} | {statistics.median(ratios):.1f}x | {rate:,.0f} scenes/s |", flush=True)


def jpeg_scenes() -> EncodedScenes:
    """Scenes as the published ones: 1.4 kB a frame, chroma at half resolution."""
    scenes = render_scenes(SCENES, views=15, background="gradient")
    pixels = rearrange(scenes.frames, "s v c h w -> s v h w c").contiguous().numpy()
    encoded = []
    for views, cameras in zip(pixels, scenes.cameras.numpy(), strict=True):
        frames = tuple(simplejpeg.encode_jpeg(frame, colorsubsampling="420") for frame in views)
        encoded.append(EncodedScene("rendered", "rendered", frames, cameras))
    return EncodedScenes(encoded, (64, 64))


def port_file(scenes: Scenes, path: Path) -> None:
    """A file as the port's converter writes it."""
    frames = rearrange(scenes.frames, "s v c h w -> s v h w c").contiguous().numpy()
    with gzip.open(path, "wb") as file:
        pairs = list(zip(frames, scenes.cameras.numpy(), strict=True))
        torch.save(pairs, file, _use_new_zipfile_serialization=False)  # pyright: ignore[reportArgumentType]


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def tfrecord(encoded: EncodedScenes, path: Path) -> None:
    """A file as DeepMind published it."""
    with path.open("wb") as file:
        for frames, cameras in ((scene.frames, scene.cameras) for scene in encoded.scenes):
            jpegs = message(1, b"".join(message(1, frame) for frame in frames))
            floats = message(2, message(1, cameras.tobytes()))
            entries = [message(1, b"frames") + message(2, jpegs), message(1, b"cameras") + message(2, floats)]
            payload = message(1, b"".join(message(1, entry) for entry in entries))
            for part in (struct.pack("<Q", len(payload)), payload):
                crc = google_crc32c.value(part)
                file.write(part + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF))


class Reading(Dataset[int]):
    """Files that are read as they are asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> int:
        return len(read_tfrecord(self.paths[number]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print("| | faster | rate |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoded = jpeg_scenes()
        scenes = decode_scenes(encoded)[0]
        port_file(scenes, folder / "scenes.pt.gz")
        paths = [folder / f"{number}.tfrecord" for number in range(FILES)]
        for path in paths:
            tfrecord(encoded, path)
        shards = [write_shard(folder, "train", str(number), scenes) for number in range(8)]
        stored = StoredScenes(folder, shards)
        rows = torch.randint(len(stored), (SCENES,))

        def unpickle() -> list:
            with gzip.open(folder / "scenes.pt.gz") as file:
                return torch.load(io.BytesIO(file.read()), weights_only=False)

        def unpickle_floats() -> list[Tensor]:
            frames = torch.from_numpy(np.stack([frames for frames, _ in unpickle()]))
            return [to_unit(part.permute(0, 1, 4, 2, 3)) for part in frames.split(BATCH)]

        def floats() -> list[Tensor]:
            return [to_unit(stored[part].frames) for part in rows.split(BATCH)]

        def pillow(path: Path) -> Tensor:
            scenes = []
            for record in read_records(path.read_bytes(), "pillow"):
                frames = parse_scene(record).frames
                scenes.append(np.stack([np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")) for frame in frames]))
            return torch.from_numpy(np.stack(scenes))

        def read(processes: int) -> None:
            """With workers, which are started anew each time, as ``gqn_probe.data.store.store_builder`` does."""
            assert list(DataLoader(Reading(paths), batch_size=None, num_workers=processes)) == [SCENES] * FILES

        torch.set_num_threads(1)
        compare("store, uint8, against .pt.gz", lambda: stored[rows], unpickle, rounds)
        compare("store, floats, against .pt.gz", floats, unpickle_floats, rounds)
        for processes, cores in ((0, "one core"), (2, "two cores")):
            label, ours = f"TFRecord on {cores}, against Pillow on one", partial(read, processes)
            compare(label, ours, lambda: [pillow(path) for path in paths], rounds, FILES)


if __name__ == "__main__":
    main()

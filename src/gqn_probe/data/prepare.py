"""Turn any source into the store that training reads:

    python -m gqn_probe.data.prepare source=gs://gqn-dataset/shepard_metzler_5_parts out=STORE
    python -m gqn_probe.data.prepare source=shepard_metzler parts=7 train=100000 out=STORE
    python -m gqn_probe.data.prepare --verify out=STORE

``source`` is shepard_metzler, or a folder or fsspec URL of TFRecords, of the PyTorch port's .pt.gz files, or of your
own images with cameras.csv. It can be killed and started again; train on the result with data=prepared data.root=STORE.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from gqn_probe.data.formats.remote import file_sizes, resolve
from gqn_probe.data.sources.own import OwnScenes
from gqn_probe.data.sources.published import SUFFIXES, DatasetFiles, kept_frames
from gqn_probe.data.sources.rendered import Rendered
from gqn_probe.data.sources.source import Source, fraction_of
from gqn_probe.data.stimuli.render import LENS
from gqn_probe.data.store.store import read_index
from gqn_probe.data.store.store_builder import build_store, damaged_shards
from gqn_probe.types import Lens


@dataclass(frozen=True)
class Options:
    """What the command line says; the defaults of conf/data hold where it says nothing."""

    source: str = ""
    out: str = ""
    on_error: str = "stop"  # or skip: go on without unreadable records and list them
    workers: int = torch.get_num_threads()  # processes
    fraction: float = 1.0  # of the training files
    name: str = ""  # of the dataset, where the folder has another
    frames: str = ""  # raw, or jpeg (a ninth of the space, decoded on the fly), which is the default for TFRecords
    size: int = 0  # pixels to resize to; 0 for 64 when rendering, else for the source's
    parts: str = "5"  # or several, as 4,5,6,7,8
    views: int = 16
    train: int = 4000
    val: int = 256
    test: int = 1000
    seed: int = 0
    background: str = "plain"
    split_by: str = "shape"


OF_FILES = ("name", "frames")
OF_RENDERING = ("parts", "views", "train", "val", "test", "seed", "background", "split_by")


def parse(arguments: Sequence[str]) -> Options:
    """Options from ``key=value`` words.

    Raises:
        ValueError: naming the word and what may stand there.
    """
    kinds = {field.name: type(field.default) for field in fields(Options)}
    values = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if not equals or key not in kinds:
            raise ValueError(f"{word!r} is not understood: expected KEY=VALUE with a key among {', '.join(kinds)}")
        try:
            values[key] = kinds[key](value)
        except ValueError:
            raise ValueError(f"{word}: {value!r} is no {kinds[key].__name__}") from None
    options = Options(**values)
    if options.on_error not in ("stop", "skip"):
        raise ValueError(f"on_error={options.on_error} is not known: use stop or skip")
    return options


def choose_source(options: Options) -> Source:
    """The source that ``source=`` names; what a folder or URL is shows in its files.

    Raises:
        ValueError: where it is nothing that can be read.
    """
    if not options.source:
        raise ValueError("source= is missing: give shepard_metzler, a folder or a URL")
    size = options.size or None
    unused = OF_FILES if options.source == "shepard_metzler" else OF_RENDERING
    for name in unused:
        if getattr(options, name) != getattr(Options, name):
            raise ValueError(f"{name}={getattr(options, name)} means nothing for source={options.source}: leave it out")
    if options.source == "shepard_metzler":
        counts = (options.train, options.val, options.test)
        numbers = _numbers(options.parts)
        return Rendered(
            numbers[0] if len(numbers) == 1 else numbers,
            size or 64,
            options.views,
            *counts,
            options.seed,
            options.background,
            options.split_by,
            LENS,
        )
    root = resolve(options.source)
    if file_sizes(root, "cameras.csv"):
        return OwnScenes(root, size, Lens("perspective", None))
    name = options.name or Path(root).name
    for folder in (root, f"{root}/{name}"):
        for kind, suffix in SUFFIXES.items():
            if file_sizes(f"{folder}/train", suffix):
                return DatasetFiles(kind, root, name, size, options.frames or kept_frames(kind, size))
    raise ValueError(f"source={options.source} holds no cameras.csv, train/*.tfrecord or train/*.pt.gz")


def _numbers(parts: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in parts.strip("[]").split(","))
    except ValueError:
        raise ValueError(f"parts={parts} is no number of cubes, nor several as 4,5,6") from None


def main(arguments: Sequence[str]) -> int:
    """Prepare or verify; the exit status."""
    verify = "--verify" in arguments
    options = parse([word for word in arguments if word != "--verify"])
    if not options.out:
        raise ValueError("out= is missing: give the folder of the store")
    folder = Path(options.out)
    if not verify:
        source = choose_source(options)
        pieces = fraction_of(source, options.fraction).pieces
        skip = options.on_error == "skip"
        build_store(source, folder, pieces, workers=options.workers, skip_unreadable=skip)
    index = read_index(folder)
    damaged = damaged_shards(folder) if verify else []
    for line in [*index.unreadable, *damaged]:
        print(line)
    scenes, size = sum(shard.scenes for shard in index.shards), sum(shard.bytes for shard in index.shards)
    print(f"{folder}: {scenes} scenes in {len(index.shards)} shards, {size / 1e9:.3g} GB")
    if left_out := len(index.unreadable) - len(index.failed):
        print(f"{left_out} unreadable records were left out")
    if index.failed:
        print(f"of {len(index.failed)} files nothing could be read: the same command tries them again")
    if damaged:
        print(f"{len(damaged)} shards are damaged: prepare again, after deleting those of another checksum")
    return 1 if damaged or index.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")

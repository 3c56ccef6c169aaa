"""Command that turns any source into a store: ``python -m gqn_probe.data.prepare source=... out=STORE``.

Settings and their defaults are those of ``conf/data/*.yaml``.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from gqn_probe.choices import check_choice, nearest

if TYPE_CHECKING:
    from gqn_probe.data.sources.source import Source

CONF = Path(__file__).parents[3] / "conf/data"
COMMAND_OPTIONS = {"source": None, "out": None, "on_error": "stop", "workers": None}  # of this command alone
TRAINING_SETTINGS = (
    "_target_",
    "source",
    "root",
    "kind",
    "cache",
    "batch_size",
    "num_workers",
    "camera_order",
    "online",
)
HELP = """\
usage: python -m gqn_probe.data.prepare source=SOURCE out=STORE [KEY=VALUE ...]
       python -m gqn_probe.data.prepare --verify out=STORE

Convert scenes from any source to the store that training reads. If interrupted, the same command continues.
To train on the result: python train.py data=prepared data.root=STORE

  python -m gqn_probe.data.prepare source=gs://gqn-dataset/shepard_metzler_5_parts out=/data/cubes
  python -m gqn_probe.data.prepare source=/downloads/jaco out=/data/jaco frames=raw on_error=skip
  python -m gqn_probe.data.prepare source=shepard_metzler 'parts=[4,5,6]' train=100000 out=/data/many
  python -m gqn_probe.data.prepare --verify out=/data/cubes

source    shepard_metzler (rendered by us), or a folder or URL of TFRecords, of the PyTorch port's .pt.gz files, or of
          your own images with their cameras
out       folder of the store
on_error  stop at the first unreadable record, or skip: leave it out and list it at the end
workers   number of processes; 0 uses this one only (default: torch's number of threads)
--verify  check every shard against its checksum

Settings by kind of source (conf/data):"""


def parse(arguments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse ``key=value`` arguments, whose values are YAML: options of this command, and settings of the source.

    Raises:
        ValueError: names the argument and what is expected.
    """
    command, settings = dict(COMMAND_OPTIONS), {}
    for word in arguments:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not understood: expected KEY=VALUE, or -h for help")
        try:
            value = text if key in ("source", "out") or text.startswith("#") else yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f"{word}: {text!r} is not YAML") from None
        (command if key in COMMAND_OPTIONS else settings)[key] = value
    check_choice("on_error", command["on_error"], ("stop", "skip"))
    if command["workers"] is not None and not (isinstance(command["workers"], int) and command["workers"] >= 0):
        raise ValueError(f"workers={command['workers']} is not a number of processes")
    return command, settings


def read_config(name: str) -> dict[str, Any]:
    """Read ``conf/data/NAME.yaml``, with the files in its defaults list."""
    path = CONF / f"{name}.yaml"
    if not path.exists():
        raise ValueError(f"{path} is not there: install gqn-probe from its repository, with pip install -e .")
    own = yaml.safe_load(path.read_text()) or {}
    config: dict[str, Any] = {}
    for parent in own.pop("defaults", ["_self_"]):
        config |= own if parent == "_self_" else read_config(parent)
    return config


def choose_source(source: str | None, settings: Mapping[str, Any]) -> "tuple[Source, float]":
    """Return the source that ``source=`` names, and ``data.fraction``; a folder or URL is recognised by its files.

    Raises:
        ValueError: nothing readable is found, or a setting does not belong to that source.
    """
    from gqn_probe.data.factory import from_source

    if not source:
        given = "".join(nearest("source", [name]) and f"instead of {name}=? " for name in settings)
        raise ValueError(f"source= is missing: {given}give shepard_metzler, a folder or a URL")
    config = read_config(source) if (CONF / f"{source}.yaml").exists() else {}
    if "source" not in config or "root" in config:  # no name of a source that needs no folder
        config = _config_of_folder(source, settings.get("name"))
    given = _apply_settings(config, settings, source)
    del given["_target_"]
    module = from_source(**given)
    return module.source, module.fraction


def _config_of_folder(source: str, name: str | None) -> dict[str, Any]:
    """Return the configuration of the scenes in a folder or behind a URL."""
    from gqn_probe.data.formats.remote import file_sizes, file_versions, resolve_root
    from gqn_probe.data.sources.own import COLMAP, TABLE, TRANSFORMS
    from gqn_probe.data.sources.published import PUBLISHED_SPLITS, SUFFIXES

    root = resolve_root(source)
    name = name or Path(root).name
    for folder in (root, f"{root}/{name}"):
        for kind, suffixes in SUFFIXES.items():
            if any(file_sizes(f"{folder}/{split}", suffixes) for split in PUBLISHED_SPLITS):
                return read_config(kind) | {"root": root, "name": name}
    if "://" in root or Path(root).is_dir():
        files = {PurePosixPath(path).name for path in file_versions(root)}
        if files & {TABLE, TRANSFORMS, COLMAP}:
            return read_config("own") | {"root": root}
    raise ValueError(f"source={source} holds no {TABLE}, {TRANSFORMS}, train/*.tfrecord or train/*.pt.gz")


def _apply_settings(config: dict[str, Any], settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Set values in a configuration, in place; a dot in a name leads into a group."""
    for name, value in settings.items():
        *groups, last = name.split(".")
        place = config
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place or name in TRAINING_SETTINGS:
            known = [key for key in config if key not in TRAINING_SETTINGS]
            hint = nearest(name, [*known, *COMMAND_OPTIONS]).strip() or f"its settings are {', '.join(known)}"
            raise ValueError(f"{name}={value} is not a setting of source={source}: {hint}")
        if isinstance(place[last], bool | int | float) and not isinstance(value, bool | int | float | list):
            raise ValueError(f"{name}={value} is not a number")
        place[last] = value
    return config


def help_text() -> str:
    """Return the help text, with the settings of each kind of source."""
    lines = [HELP]
    for kind in ("shepard_metzler", "deepmind", "converted", "own"):
        content = (CONF / f"{kind}.yaml").read_text().splitlines()
        lines += [f"\n{kind}: {content[0].removeprefix('# ')}"]
        lines += [f"  {line}" for line in content[1:] if line.partition(":")[0] not in TRAINING_SETTINGS]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Prepare or verify a store, and return the exit status."""
    if {"-h", "--help"} & {*arguments}:
        print(help_text())
        return 0
    # torch takes seconds to import: only once the command line has been read.
    from gqn_probe.data.sources.source import take_fraction
    from gqn_probe.data.store.store_builder import build_store, damaged_shards
    from gqn_probe.data.store.store_index import read_index

    verify = "--verify" in arguments
    command, settings = parse([word for word in arguments if word != "--verify"])
    if not command["out"]:
        raise ValueError("out= is missing: give the folder of the store")
    folder = Path(command["out"]).expanduser()
    if not verify:
        source, fraction = choose_source(command["source"], settings)
        pieces = take_fraction(source, fraction).pieces
        skip = command["on_error"] == "skip"
        build_store(source, folder, pieces, workers=command["workers"], skip_unreadable=skip)
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
        sys.exit("interrupted: run the same command to continue")

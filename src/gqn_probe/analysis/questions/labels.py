"""User-defined targets: a CSV with a column ``scene`` and one column a target.

Numeric columns are regression targets, others classes. A scene is given by its name in the data (file and record, or as
in the table of own images) or by its index among the studied scenes, from 0.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Target, Values
from gqn_probe.data.store.store_reader import SceneSource, scene_names

KEY = "scene"


def read_labels(path: str | Path) -> dict[str, Target]:
    """Read a table of labels; return its targets by column.

    Raises:
        ValueError: the file cannot be read or has no column ``scene``, a scene occurs twice, or a column has the name
            of a built-in target.
    """
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            head = reader.fieldnames or ()
            columns = [name for name in head if name and name != KEY]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"probe.labels={path} cannot be read: {error}") from error
    if KEY not in head or not columns:
        raise ValueError(f"probe.labels={path} needs a column {KEY} and one or more of labels, got {list(head)}")
    taken = [name for name in columns if name in TARGETS or name in ("count", "reconstruction")]
    if taken:
        raise ValueError(f"probe.labels={path} has a column named as the target {taken[0]}: rename it")
    twice = next((scene for scene, times in Counter(row[KEY] for row in rows).items() if times > 1), None)
    if twice is not None:
        raise ValueError(f"probe.labels={path} has scene {twice} twice: keep one row of it")
    return {name: partial(_label, str(path), name, {row[KEY]: row[name] or "" for row in rows}) for name in columns}


def _label(path: str, column: str, cells: Mapping[str, str], scenes: SceneSource, views: Selection) -> Classes | Values:
    names = scene_names(scenes)
    own = [cells.get(name) or cells.get(str(row)) for row, name in enumerate(names)]
    missing = [name for name, cell in zip(names, own, strict=True) if not cell]
    if missing:
        raise ValueError(f"{path} gives no {column} of {len(missing)} scenes, such as {missing[0]}")
    try:
        return Values(torch.tensor([[float(cell or "")] for cell in own]))
    except ValueError:  # not all are numbers
        kinds = sorted({cell or "" for cell in own})
    if len(kinds) < 2:
        raise ValueError("all objects are alike in it")
    return Classes(torch.tensor([kinds.index(cell or "") for cell in own]), len(kinds))

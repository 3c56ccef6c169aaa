"""Classic stimuli: objects as strings of arms, such as ``B 2, D 2, R 2, U 1``, and rows of an own table of them.

An arm is a direction (R right, L left, U up, D down, F front, B back) and a number of cubes. The first arm counts the
cube that it starts with; each other arm counts the cubes that it adds to the corner. So the numbers add up to those of
the object. Ganis & Kievit 2015, "A new set of three-dimensional shapes for investigating mental rotation processes",
Journal of Open Psychology Data 3, e3, call an object by its arms with their corners, as 2_3_3_2 for the one above.
"""

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.data.stimuli.counter_rng import scene_keys, uniform
from gqn_probe.data.stimuli.ray_caster import EDGE
from gqn_probe.data.stimuli.scene_renderer import HUES
from gqn_probe.data.stimuli.shapes import shape_ids
from gqn_probe.types import Factors

DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "U": (0, 0, 1), "D": (0, 0, -1), "F": (0, -1, 0), "B": (0, 1, 0)}
LENGTHS = ((2, 3), (2, 3), (2, 3), (1, 2))  # of the arms of our own objects
PATH = "DR"  # directions of their middle arms


def parse_arms(text: str) -> Int[Tensor, "n 3"]:
    """Parse arms into the grid cells of the cubes, in the order of the arms; x to the right, y to the back, z up.

    Raises:
        ValueError: an arm is not a direction and a number of cubes, or collides with the object.
    """
    cells = [(0, 0, 0)]
    for number, arm in enumerate(text.split(",")):
        words = arm.split()
        if len(words) != 2 or words[0].upper() not in DIRECTIONS or not words[1].isdecimal() or int(words[1]) < 1:
            raise ValueError(
                f"{arm.strip()!r} in {text!r} is not an arm: give one of {', '.join(DIRECTIONS)} and a number of "
                "cubes, such as B 2"
            )
        step = DIRECTIONS[words[0].upper()]
        for _ in range(int(words[1]) - (number == 0)):
            x, y, z = cells[-1]
            cells.append((x + step[0], y + step[1], z + step[2]))
    if len({*cells}) < len(cells):
        raise ValueError(f"the arms {text!r} collide: two cubes are in one place")
    return torch.tensor(cells)


def read_arms(path: str | Path) -> dict[str, str]:
    """Read a CSV with columns ``name`` and ``arms`` as arms by name.

    Raises:
        ValueError: a column is missing, or a name occurs twice.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"name", "arms"} <= {*(reader.fieldnames or ())}:
            raise ValueError(f"{path} has the columns {reader.fieldnames}: it needs name and arms")
        rows = [(row["name"].strip(), row["arms"]) for row in reader]
    names = [name for name, _ in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} has the name {twice[0]!r} twice: give each object one row")
    return dict(rows)


def four_arm_objects() -> dict[str, str]:
    """Return 48 objects like the classic ones: one of each chiral pair of shapes that four arms make.

    Arms of 2 or 3, 3 or 4, 3 or 4, and 2 or 3 cubes with their corners, each at a right angle to the one before.
    """
    found: dict[int, str] = {}
    for first, last in itertools.product("LRBF", "UDBF"):
        for lengths in itertools.product(*LENGTHS):
            text = ", ".join(f"{way} {cubes}" for way, cubes in zip((first, *PATH, last), lengths, strict=True))
            try:
                ids = shape_ids(parse_arms(text)[None])
            except ValueError:  # an end that runs into the object
                continue
            if int(ids.chirality):
                found.setdefault(int(ids.mirror_class), text)
    return {text: text for _, text in sorted(found.items())}


def arm_factors(arms: Mapping[str, str], *, one_color: bool, seed: int) -> Factors:
    """Build the factors that the renderer takes: each object centred, with cubes of the usual size.

    Args:
        one_color: whether all cubes of an object have one hue; otherwise each has its own.
        seed: of the hues.
    """
    cells = [parse_arms(text) for text in arms.values()]
    most = max(len(each) for each in cells)
    positions = torch.full((len(cells), most, 3), torch.nan)
    colors = torch.full_like(positions, torch.nan)
    draws = uniform(scene_keys(torch.arange(len(cells)), seed=seed, stream="arms"), most)
    hues = torch.tensor(HUES, dtype=torch.float32)[(draws * len(HUES)).long()]
    for row, own in enumerate(cells):
        positions[row, : len(own)] = EDGE * (own.double() - own.double().mean(dim=0)).float()
        colors[row, : len(own)] = hues[row, :1] if one_color else hues[row, : len(own)]
    ids = [shape_ids(own[None]) for own in cells]
    return Factors(
        shape=torch.cat([each.shape for each in ids]),
        mirror_class=torch.cat([each.mirror_class for each in ids]),
        chirality=torch.cat([each.chirality for each in ids]),
        parts=torch.tensor([len(own) for own in cells]),
        positions=positions,
        colors=colors,
    )

"""Shepard-Metzler shapes: self-avoiding walks on the cubic grid, with rotation-invariant ids.

Shepard & Metzler, "Mental rotation of three-dimensional objects", Science 1971; the random walk is Eslami et al. 2018.
"""

from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from gqn_probe.data.stimuli.counter_rng import GOLDEN, mix, scene_keys, uniform

STEPS = torch.cat([torch.eye(3, dtype=torch.int64), -torch.eye(3, dtype=torch.int64)])  # the six neighbours

# Where a shape's hash falls in 0..1 decides its split. Under this salt 5 cubes have 8 training, 2 validation and
# 4 test classes, with 70, 7 and 23 % of all walks.
SPLIT_SALT = 347
SPLIT_RANGES = {"test": (0.0, 0.3), "val": (0.3, 0.45), "train": (0.45, 1.0)}


class ShapeIds(NamedTuple):
    """Ids of shapes; of 48 bits, so that JSON and floating point hold them exactly."""

    shape: Int[Tensor, " s"]  # the same for all 24 rotations
    mirror_class: Int[Tensor, " s"]  # the same for mirror images too
    chirality: Int[Tensor, " s"]  # -1 or +1 for the two mirror images, 0 where they are one shape


@cache
def rotations() -> Int[Tensor, "24 3 3"]:
    """Return the rotations of a cube: signed permutation matrices of determinant 1."""
    matrices = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        matrix = torch.zeros(3, 3, dtype=torch.int64)
        matrix[torch.arange(3), torch.tensor(order)] = torch.tensor(signs)
        if torch.linalg.det(matrix.double()) > 0:
            matrices.append(matrix)
    return torch.stack(matrices)


def _rotation_free_hash(cells: Int[Tensor, "s n 3"]) -> Int[Tensor, " s"]:
    """Return the least hash over the 24 rotations; a sum over cells, so the order of the walk does not matter."""
    # CUDA has no integer matrix product; signed permutations are exact in floating point.
    turned = torch.einsum("sni,rji->srnj", cells.double(), rotations().to(cells.device).double()).long()
    turned = turned - turned.amin(dim=2, keepdim=True)
    x, y, z = turned.unbind(-1)
    bits = mix(mix(mix(x * GOLDEN + 1) + y * GOLDEN) + z * GOLDEN).sum(dim=2)
    return (mix(bits) & ((1 << 48) - 1)).amin(dim=1)


def shape_ids(cells: Int[Tensor, "s n 3"]) -> ShapeIds:
    """Return canonical ids of objects given by their grid cells."""
    shape = _rotation_free_hash(cells)
    mirrored = _rotation_free_hash(cells * torch.tensor([-1, 1, 1], device=cells.device))
    return ShapeIds(shape, torch.minimum(shape, mirrored), torch.sign(shape - mirrored))


def _free_steps(cells: Int[Tensor, "s n 3"]) -> Bool[Tensor, "s 6"]:
    """Return a mask of the neighbours of the last cell that the walk has not visited."""
    neighbours = cells[:, -1:] + STEPS.to(cells.device)
    return ~(rearrange(neighbours, "s k a -> s k 1 a") == rearrange(cells, "s n a -> s 1 n a")).all(-1).any(-1)


def self_avoiding_walks(keys: Int[Tensor, " s"], parts: int) -> Int[Tensor, "s {parts} 3"]:
    """Draw one walk a key: each next cell is uniform among the free neighbours; a trapped walk is drawn again."""
    cells = torch.zeros(len(keys), parts, 3, dtype=torch.int64, device=keys.device)
    todo = torch.arange(len(keys), device=keys.device)
    while len(todo):
        draws = uniform(keys[todo], max(parts - 1, 1))
        walks = cells.new_zeros(len(todo), 1, 3)
        trapped = torch.zeros(len(todo), dtype=torch.bool, device=keys.device)
        for length in range(1, parts):
            free = _free_steps(walks)
            count = free.sum(dim=1)
            trapped |= count == 0
            wanted = (draws[:, length - 1] * count).long() + 1
            step = (free.cumsum(dim=1) >= wanted[:, None]).long().argmax(dim=1)
            walks = torch.cat([walks, walks[:, -1:] + STEPS.to(keys.device)[step][:, None]], dim=1)
        cells[todo] = walks
        keys, todo = keys.index_copy(0, todo, mix(keys[todo])), todo[trapped]
    return cells


def in_split(mirror_class: Int[Tensor, " s"], split: str) -> Bool[Tensor, " s"]:
    """Return True for shapes of a split; it depends on the shape alone, so that no seed trains on held-out shapes."""
    place = uniform(scene_keys(mirror_class, seed=SPLIT_SALT, stream="split"), 1)[:, 0]
    low, high = SPLIT_RANGES[split]
    return (place >= low) & (place < high)


def draw_shapes(keys: Int[Tensor, " s"], parts: int, split: str | None) -> tuple[Int[Tensor, "s {parts} 3"], ShapeIds]:
    """Draw walks until their shape belongs to ``split`` (None for any shape), and return them with their ids.

    Raises:
        ValueError: no shape of ``parts`` cubes belongs to the split (as for 1 to 3 cubes).
    """
    cells = torch.empty(len(keys), parts, 3, dtype=torch.int64, device=keys.device)
    ids = ShapeIds(*(torch.empty_like(keys) for _ in ShapeIds._fields))
    todo, first = torch.arange(len(keys), device=keys.device), 0
    while len(todo) and first < 500:
        # A key's first walk in the split counts, so how many are tried at once only matters for speed.
        tries = 1 if first == 0 else max(1, min(64, 4096 // len(todo)))
        attempt = torch.arange(first, first + tries, device=keys.device)
        own = keys[todo, None]
        walks = self_avoiding_walks(torch.where(attempt == 0, own, mix(own + attempt)).flatten(), parts)
        names = shape_ids(walks)
        fits = torch.ones_like(names.shape, dtype=torch.bool) if split is None else in_split(names.mirror_class, split)
        fits = rearrange(fits, "(s t) -> s t", t=tries)
        found = fits.any(dim=1)
        row = (torch.arange(len(todo), device=keys.device) * tries + fits.long().argmax(dim=1))[found]
        for target, drawn in zip((cells, *ids), (walks, *names), strict=True):
            target[todo[found]] = drawn[row]
        todo, first = todo[~found], first + tries
    if len(todo):
        raise ValueError(f"no shape of {parts} cubes is in the split {split!r}: use data.split_by=scene")
    return cells, ids

"""Numbers of shapes known from the literature, rotation-invariant ids, and self-avoiding walks."""

import pytest
import torch

from gqn_probe.data.stimuli.counter_rng import scene_keys
from gqn_probe.data.stimuli.shapes import (
    STEPS,
    ShapeIds,
    draw_shapes,
    in_split,
    rotations,
    self_avoiding_walks,
    shape_ids,
)

NEAR = STEPS.tolist()


def all_ids(parts: int) -> ShapeIds:
    """Ids of every self-avoiding walk whose first step leads along x, which turns any walk into one of these."""
    walks = [[(0, 0, 0), (1, 0, 0)][:parts]]
    for _ in range(parts - 2):
        ends = ((walk, tuple(a + b for a, b in zip(walk[-1], step, strict=True))) for walk in walks for step in NEAR)
        walks = [[*walk, end] for walk, end in ends if end not in walk]
    return shape_ids(torch.tensor(walks))


@pytest.mark.parametrize(
    ("parts", "shapes", "mirror_classes", "chiral"), [(1, 1, 1, 0), (3, 2, 2, 0), (5, 18, 14, 8), (7, 310, 184, 252)]
)
def test_counts_up_to_rotation(parts: int, shapes: int, mirror_classes: int, chiral: int) -> None:
    ids = all_ids(parts)
    assert len(ids.shape.unique()) == shapes
    assert len(ids.mirror_class.unique()) == mirror_classes
    assert len(ids.shape[ids.chirality != 0].unique()) == chiral


def test_ids_ignore_rotation_translation_and_order_but_tell_mirror_images_apart() -> None:
    walks = self_avoiding_walks(scene_keys(torch.arange(40), seed=1, stream="walks"), 6)
    ids = shape_ids(walks)
    for rotation in rotations():
        assert torch.equal(shape_ids((walks @ rotation.T + 7).flip(1)).shape, ids.shape)
    mirrored = shape_ids(walks * torch.tensor([1, 1, -1]))
    assert torch.equal(mirrored.mirror_class, ids.mirror_class)
    assert torch.equal(mirrored.chirality, -ids.chirality)
    assert torch.equal(mirrored.shape == ids.shape, ids.chirality == 0)
    assert 0 < (ids.chirality == 0).sum() < len(walks)


@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_walks_are_connected_and_avoid_themselves(parts: int) -> None:
    walks = self_avoiding_walks(scene_keys(torch.arange(200), seed=0, stream="walks"), parts)
    assert (walks.diff(dim=1).abs().sum(dim=-1) == 1).all()
    assert all(len(walk.unique(dim=0)) == parts for walk in walks)


def test_each_free_neighbour_is_as_likely() -> None:
    walks = self_avoiding_walks(scene_keys(torch.arange(30_000), seed=0, stream="walks"), 3)
    _, counts = walks[:, 1:].flatten(1).unique(dim=0, return_counts=True)
    assert len(counts) == 6 * 5
    assert (counts.double() / 1000 - 1).abs().max() < 0.15  # 5 standard deviations are 0.158


@pytest.mark.slow
def test_every_shape_is_in_one_split_and_drawn_only_there() -> None:
    classes = all_ids(5).mirror_class.unique()
    members = {split: classes[in_split(classes, split)] for split in ("train", "val", "test")}
    assert {split: len(shapes) for split, shapes in members.items()} == {"train": 8, "val": 2, "test": 4}
    for split, shapes in members.items():
        _, ids = draw_shapes(scene_keys(torch.arange(500), seed=3, stream=split), 5, split)
        assert torch.equal(ids.mirror_class.unique(), shapes)


@pytest.mark.parametrize("parts", [4, 5, 6, 7, 8])
def test_every_split_has_shapes_of_each_number_of_cubes(parts: int) -> None:
    for split in ("train", "val", "test"):
        _, ids = draw_shapes(scene_keys(torch.arange(8), seed=3, stream=split), parts, split)
        assert in_split(ids.mirror_class, split).all()


def test_a_split_without_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="no shape of 2 cubes is in the split 'train'"):
        draw_shapes(scene_keys(torch.arange(2), seed=0, stream=""), 2, "train")

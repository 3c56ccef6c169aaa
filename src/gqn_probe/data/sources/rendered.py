"""Rendered Shepard-Metzler objects as a source of scenes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.choices import check_choice
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import SCENES_A_PIECE, Piece
from gqn_probe.data.stimuli.cameras import check_lens, lens_settings
from gqn_probe.data.stimuli.ray_caster import BACKGROUNDS
from gqn_probe.data.stimuli.scene_renderer import check_parts, render_batch
from gqn_probe.types import SPLITS, Lens, Scenes

RENDERER_VERSION = 2  # raise it when the same settings give other images, so that older caches are not reused


@dataclass(frozen=True)
class RenderedScenes:
    """Scenes rendered on demand, of which "train", "val" and "test" have as many as set."""

    parts: int | Sequence[int]  # number of cubes, or several equally likely numbers
    size: int
    views: int
    train: int
    val: int
    test: int
    seed: int
    background: str
    split_by: str  # "shape": no shape is in two splits; "scene": every split draws from all shapes
    lens: Lens

    def __post_init__(self) -> None:
        check_parts(self.parts)
        for name, least in {"size": 1, "views": 1, "train": 0, "val": 0, "test": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"data.{name}={getattr(self, name)} is too small: the least is {least}")
        check_choice("data.background", self.background, tuple(BACKGROUNDS))
        check_choice("data.split_by", self.split_by, ("shape", "scene"))
        if check_lens(self.lens).scale is None:
            raise ValueError("data.lens.scale=null cannot render: give half the width of the image")

    def identity(self) -> dict:
        names = ("size", "views", "seed", "background", "split_by")
        settings = {name: getattr(self, name) for name in names}
        parts = check_parts(self.parts)
        settings |= {"parts": parts[0] if len(parts) == 1 else [*parts], "lens": lens_settings(self.lens)}
        return {"kind": "shepard_metzler", "renderer": RENDERER_VERSION} | settings

    def find_lens(self) -> Lens:
        return self.lens

    def pieces(self) -> list[Piece]:
        return [
            Piece(split, f"{number:05d}")
            for split in SPLITS
            for number in range(math.ceil(self.scene_limit(split) / SCENES_A_PIECE))
        ]

    def relative_size(self, piece: Piece) -> int:
        return min(SCENES_A_PIECE, self.scene_limit(piece.split) - int(piece.name) * SCENES_A_PIECE)

    def scene_limit(self, split: str) -> int:
        """Return the number of scenes of a split; its last piece may hold more."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        first = int(piece.name) * SCENES_A_PIECE
        scenes = self.render(torch.arange(first, first + SCENES_A_PIECE), piece.split)
        return replace(scenes, names=tuple(f"{piece.split}-{first + row}" for row in range(SCENES_A_PIECE)))

    def render(self, ids: Int[Tensor, " s"], split: str) -> Scenes:
        """Render the scenes of a split with the given ids, on their device."""
        return render_batch(
            ids,
            views=self.views,
            parts=self.parts,
            size=self.size,
            seed=self.seed,
            stream=split,
            split=split if self.split_by == "shape" else None,
            background=self.background,
            lens=self.lens,
        )

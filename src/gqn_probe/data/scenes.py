"""What a DataLoader indexes: the stored scenes of a split, or scenes yet to be rendered; a whole batch at a time."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from gqn_probe.data.sources.rendered import Rendered
from gqn_probe.data.stimuli.cameras import encode_cameras
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Batch


class SplitScenes(Dataset):
    """Some rows of a stored split."""

    def __init__(self, stored: StoredScenes, rows: Int[Tensor, " s"], order: str) -> None:
        self.stored, self.rows, self.order = stored, rows, order

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Int[Tensor, " b"]) -> Batch:
        rows = self.rows[index]
        scenes = self.stored[rows]
        return Batch(scenes.frames, encode_cameras(scenes.cameras, self.order), rows)


class OnlineScenes(Dataset):
    """Scenes that are rendered once a batch is on its device; until then a batch is their ids and has no views."""

    def __init__(self, source: Rendered) -> None:
        self.source = source

    def __len__(self) -> int:
        return self.source.train

    def __getitem__(self, ids: Int[Tensor, " b"]) -> Batch:
        size = self.source.size
        frames = torch.empty(len(ids), 0, 3, size, size, dtype=torch.uint8)
        return Batch(frames, torch.empty(len(ids), 0, 7), ids)

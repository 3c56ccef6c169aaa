"""Scenes of a store that are read when they are asked for, so that more than fit into memory can be studied."""

from jaxtyping import Int
from torch import Tensor

from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Scenes


class StreamedScenes:
    """Rows of a store; their cameras and ground truth are kept, their frames are not."""

    def __init__(self, stored: StoredScenes, rows: Int[Tensor, " s"]) -> None:
        self.stored, self.rows = stored, rows
        self.cameras = stored.cameras(rows)
        self.factors = stored.factors(rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def views(self) -> int:
        return self.cameras.shape[1]

    def __getitem__(self, index: slice | Int[Tensor, " b"]) -> Scenes:
        """The chosen scenes, in memory."""
        return self.stored[self.rows[index]]


SceneSource = Scenes | StreamedScenes

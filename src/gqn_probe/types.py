"""Data types that cross modules, and the legend of axis letters of every shape annotation.

=========  =====================================================================================================
``s``      scene
``b``      scene or prediction of a batch
``v``      view of a scene
``i``      view among those that a representation sums
``q``      query view
``c h w``  channel, row and column of an image
``p``      number of an encoded camera (7)
``d``      channel of the scene representation, or of another input of a probe
``ry rx``  row and column of the representation
``y x``    row and column at the generator's resolution, a quarter of the image's; of a representation of that size
``l``      generator step
``z``      channel of the latents
``u``      channel of the canvas
``H W``    row and column of the canvas, or of a picture made of several images
``g``      cell of a grid over the image or over space
``n``      row of anything: views, queries, rows of a probe, cubes
``k``      context count, or class of a classifier
``f``      feature
``e``      feature in the basis of a fit, with a last one for the bias
``j``      column of target values
``t``      dataset fitted beside others
``m``      regularisation strength tried beside others
``a``      some of the rows or datasets
=========  =====================================================================================================

Each letter has one meaning. An axis that few files have is a word: ``hidden``, ``epoch``, ``angle``, ``pair``. A number
is a fixed length, ``*`` before a letter stands for any number of axes, braces for the value of an argument.
``tests/test_layout.py`` holds every annotation to this table.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Factors:
    """Ground truth of rendered objects, one row for each scene; NaN rows pad objects with fewer cubes."""

    shape: Int[Tensor, " s"]  # canonical shape id under the 24 rotations; mirror images differ
    mirror_class: Int[Tensor, " s"]  # canonical id that mirror images share; shape-disjoint splits hold it out
    chirality: Int[Tensor, " s"]  # -1 or +1 for the two mirror images of a chiral shape, 0 for an achiral one
    parts: Int[Tensor, " s"]  # number of cubes
    positions: Float[Tensor, "s n 3"]  # cube centres in the scene's world units, centred on the origin
    colors: Float[Tensor, "s n 3"]  # RGB in 0..1, before lighting


@dataclass(frozen=True)
class Scenes:
    """Views of scenes with their raw cameras (x, y, z, yaw, pitch; radians), on the CPU."""

    frames: UInt8[Tensor, "s v c h w"]
    cameras: Float[Tensor, "s v 5"]
    factors: Factors | None = None
    names: tuple[str, ...] | None = None  # names in the source: file and record, or the table's name

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def views(self) -> int:
        return self.frames.shape[1]

    def __getitem__(self, index: slice | Tensor) -> "Scenes":
        """Return the chosen scenes; integers are not accepted, so that the scene axis is kept."""
        factors = self.factors and Factors(*(getattr(self.factors, f.name)[index] for f in fields(Factors)))
        names = self.names and tuple(self.names[row] for row in torch.arange(len(self))[index].tolist())
        return Scenes(self.frames[index], self.cameras[index], factors, names)


# Renders objects from raw cameras, with lens, size and background of a dataset.
Render = Callable[[Factors, Float[Tensor, "s v 5"]], UInt8[Tensor, "s v c h w"]]


class Lens(NamedTuple):
    """Projection of the cameras and extent of the scene, in the world units of the data.

    The camera looks along (cos yaw cos pitch, sin yaw cos pitch, sin pitch), without roll; images are square.
    """

    kind: str  # "orthographic", parallel rays through an image plane, or "perspective", rays through the camera
    scale: float | None  # half the width of the image; perspective: of the image at distance 1; None where unknown
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of the scene
    radius: float = 1.0  # of the ball around the centre that holds the scene, or half the longest edge of its box
    box: tuple[float, float, float] | None = None  # half the edges of a scene that is a room rather than an object


class Batch(NamedTuple):
    """Batch of the DataLoader: all views of some scenes, frames as bytes."""

    frames: UInt8[Tensor, "b v c h w"]
    cameras: Float[Tensor, "b v p"]  # encoded, 7 numbers
    scenes: Int[Tensor, " b"]  # ids of the scenes in the data source


class Episode(NamedTuple):
    """Context and query views of each scene of a batch."""

    context_frames: Float[Tensor, "b v c h w"]  # 0..1
    context_cameras: Float[Tensor, "b v p"]
    query_frames: Float[Tensor, "b q c h w"]  # 0..1
    query_cameras: Float[Tensor, "b q p"]


def to_unit(frames: UInt8[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Convert bytes in 0..255 to floats in 0..1."""
    return frames.to(torch.get_default_dtype()).div_(255.0)

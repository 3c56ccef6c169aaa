"""What data must have in common with that of training, because a network cannot tell when it has not.

A tower takes frames of any size, and cameras in either order are seven numbers: what comes of others is an image, but
a wrong one.
"""

from collections.abc import Mapping
from typing import NamedTuple


class InputSpec(NamedTuple):
    """Frames and cameras that weights were trained on, or are to be used on; None where nobody noted it."""

    size: tuple[int, int] | None = None  # height and width of frames
    camera_order: str | None = None  # see data/cameras.py

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> "InputSpec":
        """What ``facts`` wrote; other entries are left alone."""
        height, _, width = facts.get("frame_size", "").partition("x")
        return cls((int(height), int(width)) if width else None, facts.get("camera_order"))

    def facts(self) -> dict[str, str]:
        """As plain text, for the files of weights."""
        size = {} if self.size is None else {"frame_size": _text(self.size)}
        return size if self.camera_order is None else {**size, "camera_order": self.camera_order}

    def check(self, data: "InputSpec") -> None:
        """Refuse other data, as far as both are known.

        Raises:
            ValueError: naming both values, and the setting that makes them one.
        """
        if self.size and data.size and self.size != data.size:
            square = self.size[0] == self.size[1]
            remedy = f"add data.size={self.size[0]}" if square else f"give it frames of {_text(self.size)}"
            raise ValueError(
                f"the weights were trained on frames of {_text(self.size)}, the data has {_text(data.size)}: {remedy}"
            )
        if self.camera_order and data.camera_order and self.camera_order != data.camera_order:
            raise ValueError(
                f"the weights were trained on cameras in the order {self.camera_order}, the data has "
                f"{data.camera_order}: add data.camera_order={self.camera_order}"
            )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

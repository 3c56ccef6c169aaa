"""Specification of the frames and cameras that weights were trained on, checked before other data are used.

A network does not notice a mismatch: a tower takes frames of any size, and cameras in either order are seven numbers.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, get_type_hints

from gqn_probe.choices import check_choice
from gqn_probe.model.configured import check_value
from gqn_probe.model.rays import CAMERA_ORDERS
from gqn_probe.types import Lens


class InputSpec(NamedTuple):
    """Properties of frames and cameras; None where unknown."""

    size: tuple[int, int] | None = None  # height and width of frames
    camera_order: str | None = None  # see data/stimuli/cameras.py
    lens: Lens | None = None
    background: tuple[float, float, float] | None = None  # red, green and blue in 0..1
    sigma: float | None = None  # deviation of the pixel likelihood at the end of training, on the 0..1 scale

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> "InputSpec":
        """Return the specification that ``facts`` wrote as text; other entries are ignored.

        Raises:
            ValueError, TypeError: an entry is not valid.
        """
        height, _, width = facts.get("frame_size", "").partition("x")
        lens, background = json.loads(facts.get("lens", "null")), json.loads(facts.get("background", "null"))
        spec = cls(
            size=(int(height), int(width)) if width else None,
            camera_order=facts.get("camera_order"),
            lens=None if lens is None else Lens(**lens),
            background=background,
            sigma=float(facts["sigma"]) if "sigma" in facts else None,
        )
        for part in (spec, spec.lens):
            for name, hint in get_type_hints(type(part)).items() if part is not None else ():
                check_value(getattr(part, name), hint, name)
        if spec.camera_order is not None:
            check_choice("camera_order", spec.camera_order, CAMERA_ORDERS)
        if (lens := spec.lens) is not None:  # JSON has lists in place of tuples
            lens = lens._replace(centre=tuple(lens.centre), box=lens.box and tuple(lens.box))
        return spec._replace(lens=lens, background=background and tuple(background))

    def facts(self) -> dict[str, str]:
        """Return the known properties as text, for the metadata of a file of weights."""
        facts = {
            "frame_size": self.size and _text(self.size),
            "camera_order": self.camera_order,
            "lens": self.lens and json.dumps(self.lens._asdict()),
            "background": self.background and json.dumps(self.background),
            "sigma": self.sigma and str(self.sigma),
        }
        return {name: text for name, text in facts.items() if text is not None}

    def check(self, data: "InputSpec", sizes: bool = True) -> None:
        """Compare with other data, where both are known; frame sizes only if ``sizes``.

        Raises:
            ValueError: they differ; names both values and the setting to change.
        """
        if sizes and self.size and data.size and self.size != data.size:
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
        own, other = self.lens, data.lens
        if own is None or other is None or own.scale is None or other.scale is None:
            return
        if own[:2] != other[:2]:
            raise ValueError(
                f"the weights were trained with a lens of kind={own.kind} and scale={own.scale}, the data "
                f"has kind={other.kind} and scale={other.scale}: "
                f"add data.lens.kind={own.kind} data.lens.scale={own.scale}"
            )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

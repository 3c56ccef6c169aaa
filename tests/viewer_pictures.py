"""Pictures for the report's viewer, each of one colour that tells where it belongs."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def write_viewer(folder: Path) -> None:
    """Pictures of one colour each, which tells where they belong: see ``viewer_colour``."""
    folder.mkdir()
    counts, azimuths, elevations = [1, 2, 5], 4, [-30, 15, 55]
    rings = [(row, column) for row in range(len(elevations)) for column in range(azimuths)]
    for i in range(2):
        sheets = {"truth": [viewer_colour(i, "truth", 0, *place) for place in rings]}
        sheets["context"] = [viewer_colour(i, "context", 0, 0, view) for view in range(5)]
        for count in counts:
            for kind in ("mean", "spread"):
                sheets[f"{kind}-{count}"] = [viewer_colour(i, kind, count, *place) for place in rings]
            left_out = [(row, column) for row in range(count) for column in range(azimuths)]
            sheets[f"without-{count}"] = [viewer_colour(i, "without", count, *place) for place in left_out]
        for kind, colours in sheets.items():
            columns = 5 if kind == "context" else azimuths
            table = np.array(colours, np.uint8).reshape(-1, columns, 3)
            pixels = table.repeat(16, axis=0).repeat(16, axis=1)
            Image.fromarray(pixels).save(folder / f"{i}-{kind}.webp", lossless=True)
    errors = [[[10.0 * i + count] * len(rings) for count in counts] for i in range(2)]
    cameras = [[[85.0, 20.0], *[[0.0, 0.0]] * 4]] * 2  # azimuth and elevation of each context image
    told = {"context": cameras, "objects": 2, "chosen": [3, 7], "counts": counts, "azimuths": azimuths,
            "elevations": elevations, "size": 16, "samples": 2, "truth": "rendered", "errors": errors, "white": 12,
            "quality": 100}  # fmt: skip
    (folder / "viewer.json").write_text(json.dumps(told))


def viewer_colour(thing: int, kind: str, count: int, row: int, column: int) -> tuple[int, int, int]:
    """Red tells the object and the kind, green the count, blue the place in the sheet."""
    kinds = ("truth", "context", "mean", "spread", "without")
    return 100 * thing + 10 * kinds.index(kind), 20 * count, 50 * row + 10 * column

"""The page's viewer: choose an object, a number of images and a camera, and see what is predicted; works from files."""

import base64
import json
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from gqn_probe.report.figures.cubes import FAINTEST, cubes_found, wrong_cells
from gqn_probe.report.html_elements import Section, document


def viewer(folder: Path) -> str:
    """The viewer of the pictures in ``folder`` as HTML, with all it needs inside; empty where there are none.

    Raises:
        ValueError: a picture is missing.
    """
    path = folder / "viewer.json"
    if not path.is_file():
        return ""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    counts = told["counts"]
    kinds = ["truth", "context", *(f"{kind}-{count}" for kind in ("mean", "spread", "without") for count in counts)]
    names = [f"{i}-{kind}" for i in range(told["objects"]) for kind in kinds]
    told["sheets"] = {name: _address(folder / f"{name}.webp") for name in names}
    told["cubes"] = _cubes(folder.parent / "voxels.npz", told.get("chosen", []))
    start = len(counts) // 2
    return Template(files("gqn_probe.report").joinpath("viewer.html").read_text(encoding="utf-8")).substitute(
        truth="truth" if told["truth"] == "rendered" else "nearest given view",
        white=told["white"],
        cubes="" if told["cubes"] else " hidden",
        start=start,
        last=len(counts) - 1,
        count=counts[start],
        data=json.dumps(told, separators=(",", ":")).replace("<", "\\u003c"),
    )


def viewer_page(folder: Path) -> str:
    """A page of the viewer alone, for where pages are shown in a frame, such as W&B; empty where there is none."""
    body = viewer(folder)
    return document("viewer", "Look around", sections=[Section("viewer", "Objects never seen", body)]) if body else ""


def _cubes(path: Path, chosen: list[int]) -> dict[str, Any] | None:
    """The cubes that are read from r of the viewer's objects, by count and object; None where there are none.

    Each is its place (3), how sure the read-out is of it, its colour (3) from 0 to 255, and whether it is wrong.
    """
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    if not chosen or found.get("objects", np.array([])).tolist() != chosen:
        return None
    cells, true = found["cells"].tolist(), found["true"]
    read: dict[int, list[dict[str, Any]]] = {}
    for count in found["counts"].tolist():
        read[count] = []
        for occupied, colors, there in zip(
            found[f"trained_{count}"], found[f"trained_color_{count}"], true, strict=True
        ):
            wrong = wrong_cells(occupied, there).tolist()
            cubes = [
                [*cells[i], round(float(occupied[i]), 2), *(255 * colors[i]).round().astype(int).tolist(), wrong[i]]
                for i in np.flatnonzero(occupied >= FAINTEST).tolist()
            ]
            read[count].append({"cubes": cubes, "score": f"{cubes_found(occupied, there)} of {int(there.sum())}"})
    return {
        "reach": int(np.abs(found["cells"]).max()) + 1.2,  # about as large as in the pictures
        "read": read,
    }


def _address(path: Path) -> str:
    """The picture as an address that needs no file."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: run probe.py again")
    return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"

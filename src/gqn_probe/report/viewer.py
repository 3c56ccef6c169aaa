"""Interactive viewer of the page: choose an object, the number of images and a camera, and see the prediction."""

import json
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from gqn_probe.report.figures.cubes import FAINTEST, cubes_found, wrong_cells
from gqn_probe.report.html_elements import Section, data_url, document
from gqn_probe.report.study_results import read_arrays


def viewer(folder: Path) -> str:
    """Return the viewer of the pictures in ``folder`` as self-contained HTML; empty where there are none.

    Raises:
        ValueError: a picture is missing.
    """
    path = folder / "viewer.json"
    if not path.is_file():
        return ""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    counts = data["counts"]
    kinds = ["truth", "context", *(f"{kind}-{count}" for kind in ("mean", "spread", "without") for count in counts)]
    names = [f"{i}-{kind}" for i in range(data["objects"]) for kind in kinds]
    data["sheets"] = {name: _address(folder / f"{name}.webp") for name in names}
    data["cubes"] = _cubes(folder.parent / "voxels.npz", data.get("chosen", []))
    start, rendered = len(counts) // 2, data["truth"] == "rendered"
    return Template(files("gqn_probe.report").joinpath("viewer.html").read_text(encoding="utf-8")).substitute(
        truth="truth" if rendered else "nearest given view",
        error=" Error: RMSE of the prediction in grey levels, 0 to 255." if rendered else "",
        white=data["white"],
        cubes="" if data["cubes"] else " hidden",
        start=start,
        last=len(counts) - 1,
        count=counts[start],
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def viewer_page(folder: Path) -> str:
    """Return a page of the viewer alone, for frames such as W&B's; empty where there is none."""
    body = viewer(folder)
    return document("viewer", "Look around", sections=[Section("viewer", "Objects never seen", body)]) if body else ""


def _cubes(path: Path, chosen: list[int]) -> dict[str, Any] | None:
    """Return the cubes decoded for the viewer's objects, by count and object; None where there are none.

    Each is its place (3), how sure the read-out is of it, its colour (3) from 0 to 255, and whether it is wrong.
    """
    found = read_arrays(path)
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
    if not path.is_file():
        raise ValueError(f"{path} is missing: run probe.py again")
    return data_url(path.read_bytes(), "image/webp")

"""The page's viewer: choose an object, a number of images and a camera, and see what is predicted; works from files."""

import base64
import json
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

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
    start = len(counts) // 2
    return Template(files("gqn_probe.report").joinpath("viewer.html").read_text(encoding="utf-8")).substitute(
        truth="truth" if told["truth"] == "rendered" else "nearest given view",
        white=told["white"],
        start=start,
        last=len(counts) - 1,
        count=counts[start],
        data=json.dumps(told, separators=(",", ":")).replace("<", "\\u003c"),
    )


def viewer_page(folder: Path) -> str:
    """A page of the viewer alone, for where pages are shown in a frame, such as W&B; empty where there is none."""
    body = viewer(folder)
    return document("viewer", "Look around", sections=[Section("viewer", "Objects never seen", body)]) if body else ""


def _address(path: Path) -> str:
    """The picture as an address that needs no file."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: run probe.py again")
    return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"

"""What the jobs of a sweep left: r at every count, how well queries were predicted, and which jobs failed."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor


class Jobs(NamedTuple):
    """The jobs that ended well, by ascending count."""

    counts: tuple[int, ...]
    folders: tuple[Path, ...]
    failed: tuple[str, ...]  # folders without a result


class Prediction(NamedTuple):
    """One row of a job's ``reconstruction.csv``."""

    scene: int
    count: int
    query_seen: bool
    metric: str
    value: float


def find_jobs(folders: Sequence[Path]) -> Jobs:
    """Sort job folders by what their ``job.json`` says; a folder without one is a job that failed.

    Raises:
        ValueError: no job ended well, two did the same count, or they looked at other scenes or views.
    """
    found = {folder: folder / "job.json" for folder in folders}
    notes = {folder: json.loads(path.read_text()) for folder, path in found.items() if path.is_file()}
    if not notes:
        raise ValueError(f"none of the {len(folders)} jobs left a result; see the first error above")
    ordered = sorted(notes, key=lambda folder: notes[folder]["count"])
    counts = tuple(notes[folder]["count"] for folder in ordered)
    if len(set(counts)) < len(counts):
        raise ValueError(f"jobs overlap: their counts are {list(counts)}; give each count once")
    setups = {json.dumps({**note, "count": None}) for note in notes.values()}
    if len(setups) > 1:
        raise ValueError(f"jobs do not belong together: {' and '.join(sorted(setups))}")
    return Jobs(counts, tuple(ordered), tuple(folder.name for folder in folders if folder not in notes))


def read_representations(jobs: Jobs) -> Float[Tensor, "s k d"]:
    """r of every scene at every count, as the jobs formed it."""
    return torch.stack([load_file(f / "representation.safetensors")["representation"] for f in jobs.folders], dim=1)


def read_predictions(jobs: Jobs) -> list[Prediction]:
    """How well each query was predicted at each count."""
    rows = []
    for folder in jobs.folders:
        with (folder / "reconstruction.csv").open(newline="") as file:
            rows += [
                Prediction(int(r["scene"]), int(r["count"]), r["query_seen"] == "1", r["metric"], float(r["value"]))
                for r in csv.DictReader(file)
            ]
    return rows

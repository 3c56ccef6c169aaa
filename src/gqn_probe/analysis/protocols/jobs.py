"""Finding and reading the results of count jobs: representations, prediction errors, images."""

import csv
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import TASKS
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.statistics.intervals import ClusterSums, mean_interval
from gqn_probe.atomic_io import write_arrays
from gqn_probe.results import Interval, Result

log = logging.getLogger(__name__)
RECONSTRUCTION = ("reconstruction", "", "", "")  # target, input, control and probe of its rows
Metadata = Mapping[str, int | str]  # of ``job.json``


class Jobs(NamedTuple):
    """Complete jobs, by ascending count."""

    counts: tuple[int, ...]
    folders: tuple[Path, ...]
    failed: tuple[str, ...]  # folders without a result
    left_out: tuple[str, ...] = ()  # folders whose result is of other weights, data, settings or code


class QueryScore(NamedTuple):
    """One row of a job's ``reconstruction.csv``, without the scene's name."""

    scene: int
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    query_seen: bool
    metric: str
    value: float


def job_metadata(study_inputs: StudyInputs, settings: StudySettings) -> Metadata:
    """Return what the files of a job depend on beside its count: equal for all jobs of a study."""
    return {
        "scenes": len(study_inputs.scenes),
        "seed": settings.seed,
        "protocol": settings.protocol,
        "reconstruct": settings.reconstruct,
        "show": settings.show,
        **study_inputs.fingerprints,
        "code": code_fingerprint(),
    }


def code_fingerprint() -> str:
    """Return a hash of this package's source, in hex."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def is_done(folder: Path, count: int, metadata: Metadata) -> bool:
    """Return True if ``folder`` holds this count's files, made from the same weights, data, settings and code."""
    return _read_metadata(folder) == {"count": count, **metadata}


def find_jobs(folders: Sequence[Path], metadata: Metadata) -> Jobs:
    """Sort job folders into complete, failed (no ``job.json``) and left-out ones.

    Args:
        metadata: of the study; jobs that differ from it are left out, with a warning.

    Raises:
        ValueError: no job is complete, or two are of the same count.
    """
    found = {folder: known for folder in folders if (known := _read_metadata(folder)) is not None}
    if not found:
        raise ValueError(f"none of the {len(folders)} jobs left a result; see the first error above")
    for folder, known in found.items():
        if others := [name for name, value in metadata.items() if known.get(name) != value]:
            log.warning(
                "%s is left out of the study, because it was made with other %s; run it again",
                folder,
                " and ".join(others),
            )
    own = {folder: known for folder, known in found.items() if metadata.items() <= known.items()}
    if not own:
        raise ValueError(f"none of the {len(folders)} jobs is of these weights, data and settings: run them again")
    ordered = sorted(own, key=lambda folder: own[folder]["count"])
    counts = tuple(int(own[folder]["count"]) for folder in ordered)
    if len(set(counts)) < len(counts):
        raise ValueError(f"jobs overlap: their counts are {list(counts)}; give each count once")
    failed = tuple(folder.name for folder in folders if folder not in found)
    return Jobs(counts, tuple(ordered), failed, tuple(folder.name for folder in found if folder not in own))


def _read_metadata(folder: Path) -> Metadata | None:
    path = folder / "job.json"
    return json.loads(path.read_text()) if path.is_file() else None


def read_representations(jobs: Jobs) -> Float[Tensor, "s k d"]:
    """Return r, averaged over positions, of every scene at every count."""
    return torch.stack([load_file(f / "representation.safetensors")["representation"] for f in jobs.folders], dim=1)


def read_predictions(jobs: Jobs) -> list[QueryScore]:
    """Return the prediction errors of each query at each count."""
    rows = []
    for folder in jobs.folders:
        with (folder / "reconstruction.csv").open(newline="") as file:
            rows += [
                QueryScore(int(r["scene"]), int(r["count"]), r["query_seen"] == "1", r["metric"], float(r["value"]))
                for r in csv.DictReader(file)
            ]
    return rows


def prediction_rows(jobs: Jobs, objects: int) -> Iterator[Result]:
    """Yield mean prediction errors by count: mse on 0..1, rmse on 0..255, KL in nats; and if the query was seen."""
    tables: dict[tuple[str, int], torch.Tensor] = {}
    seen: dict[int, bool] = {}
    for row in read_predictions(jobs):
        table = tables.setdefault((row.metric, row.count), torch.full((objects,), float("nan")))
        table[row.scene] = row.value
        seen[row.count] = row.query_seen
    for (metric, count), values in tables.items():
        known = ~values.isnan()
        found = mean_interval(ClusterSums(values.nan_to_num().double(), known.double()))
        yield Result.pooled(RECONSTRUCTION, metric, found, n=int(known.sum()), count=count)
        if metric.endswith("mse"):
            root = Interval(*(255 * max(each, 0.0) ** 0.5 for each in found))
            yield Result.pooled(
                RECONSTRUCTION, metric.removesuffix("mse") + "rmse", root, n=int(known.sum()), count=count
            )
    for count, is_seen in seen.items():
        yield Result(*RECONSTRUCTION, None, "test", count, "query_seen", float(is_seen))


def write_pictures(study_inputs: StudyInputs, jobs: Jobs, settings: StudySettings, folder: Path) -> None:
    """Write the context views of the first scenes, and their query and its predictions at each count."""
    some = study_inputs.scenes[: min(settings.show, settings.reconstruct)]
    tasks = [TASKS[settings.protocol](len(some), some.views, count, settings.seed) for count in jobs.counts]
    arrays = {
        "counts": np.array(jobs.counts),
        "query_seen": np.tile(np.array([task.query_seen for task in tasks]), (len(some), 1)),
    }
    for count, job in zip(jobs.counts, jobs.folders, strict=True):
        with np.load(job / "reconstructions.npz") as pictures:
            arrays |= {f"{kind}_{count}": pictures[kind] for kind in ("truth", "reconstruction", "sample", "samples")}
            arrays["context"] = pictures["context"]  # the largest count's stays
    write_arrays(folder / "reconstructions.npz", arrays)

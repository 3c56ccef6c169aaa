"""How well queries are predicted at each count: result rows with intervals, and the images of a few scenes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import TASKS
from gqn_probe.analysis.protocols.jobs import Jobs, read_predictions
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.statistics.intervals import UnitSums, mean_interval
from gqn_probe.atomic_io import write_arrays
from gqn_probe.results import Interval, Result

NAME = ("reconstruction", "", "", "")


def prediction_rows(jobs: Jobs, objects: int) -> Iterator[Result]:
    """Errors against count: mse on 0..1 and rmse on 0..255, KL in nats; which counts saw their query."""
    tables: dict[tuple[str, int], torch.Tensor] = {}
    seen: dict[int, bool] = {}
    for row in read_predictions(jobs):
        table = tables.setdefault((row.metric, row.count), torch.full((objects,), float("nan")))
        table[row.scene] = row.value
        seen[row.count] = row.query_seen
    for (metric, count), values in tables.items():
        there = ~values.isnan()
        found = mean_interval(UnitSums(values.nan_to_num().double(), there.double()))
        yield Result.pooled(NAME, metric, found, n=int(there.sum()), count=count)
        if metric.endswith("mse"):
            root = Interval(*(255 * max(each, 0.0) ** 0.5 for each in found))
            yield Result.pooled(NAME, metric.removesuffix("mse") + "rmse", root, n=int(there.sum()), count=count)
    for count, is_seen in seen.items():
        yield Result(*NAME, None, "test", count, "query_seen", float(is_seen))


def write_pictures(study_inputs: StudyInputs, jobs: Jobs, settings: StudySettings, folder: Path) -> None:
    """The first scenes: context views in order, and at each count the query and what was predicted of it."""
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

"""Log counts, studies, analyses and comparisons to W&B: series, tables, images and figures."""

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from einops import rearrange
from pytorch_lightning.loggers import Logger

from gqn_probe.report.figure_registry import Drawing
from gqn_probe.report.figures.cubes import FAINTEST
from gqn_probe.report.study_results import Study
from gqn_probe.report.sweep_settings import Setting, collect_measures
from gqn_probe.report.viewer import viewer_page
from gqn_probe.results import Difference, Result
from gqn_probe.tracking.wandb_run import run_logger

# The x axis of each group of metrics.
STEPS = {"context": ("accuracy", "reconstruction", "decodability"), "epoch": ("probe",)}

# Corners of a cube around its centre, in the order of W&B's example; smaller than a cell, so that edges do not touch.
CORNERS = 0.9 * (
    np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]]) - 0.5
)


def log_count(loggers: Sequence[Logger], folder: Path) -> None:
    """Log the errors of one count against ``context``, and its images as a table."""
    if (logger := run_logger(loggers)) is None or not (folder / "reconstruction.csv").is_file():
        return  # features of a file predict no images
    count = json.loads((folder / "job.json").read_text())["count"]
    errors: dict[str, list[float]] = defaultdict(list)
    with (folder / "reconstruction.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            errors[row["metric"]].append(float(row["value"]))
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    roots = {_error_name(name): 255 * mean**0.5 for name, mean in means.items() if name.endswith("mse")}
    shown = _pictures(folder, count)
    wandb_run = logger.experiment
    logger.attempt(wandb_run.define_metric, "context")
    logger.attempt(wandb_run.define_metric, "*", step_metric="context")
    logger.attempt(wandb_run.log, {"context": count, "kl": means["kl"], **roots, "reconstructions": shown})


def _error_name(metric: str) -> str:
    """Return the name on W&B: ``sample/rmse`` for ``sample_mse``, ``reconstruction/rmse`` for ``mse``."""
    return f"{metric.removesuffix('mse').removesuffix('_') or 'reconstruction'}/rmse"


def _pictures(folder: Path, count: int) -> wandb.Table:
    """Return a table with a row for each scene: context, truth, reconstruction, prior sample, error of the sample."""
    with np.load(folder / "reconstructions.npz") as arrays:
        shown = {name: arrays[name] for name in ("context", "truth", "reconstruction", "sample")}
    shown["context"] = rearrange(shown["context"], "n v h w c -> n h (v w) c")
    shown["error"] = np.abs(shown["sample"].astype(int) - shown["truth"]).astype(np.uint8)
    rows: list[Any] = [
        [scene, count, *(wandb.Image(image) for image in images)]
        for scene, images in enumerate(zip(*shown.values(), strict=True))
    ]
    return wandb.Table(columns=["scene", "count", *shown], data=rows)


def log_study(loggers: Sequence[Logger], study: Study, drawings: Sequence[Drawing] = ()) -> None:
    """Log a study: answers, headline and controls as summary; series, curves, confusion matrix, viewer and figures."""
    if (logger := run_logger(loggers)) is None:
        return
    wandb_run, attempt = logger.experiment, logger.attempt
    for step, names in STEPS.items():
        attempt(wandb_run.define_metric, step)
        for name in names:
            attempt(wandb_run.define_metric, f"{name}/*", step_metric=step)
    for count, values in sorted(_by_count(study).items()):
        attempt(wandb_run.log, {"context": count, **values})
    for epoch, values in sorted(_by_epoch(study).items()):
        attempt(wandb_run.log, {"epoch": epoch, **values})
    attempt(wandb_run.summary.update, _summary(study))
    if study.headline_confusion:
        attempt(wandb_run.log, {"confusion": _confusion_matrix(study)})
    if (table := _embedding(study)) is not None:
        attempt(wandb_run.log, {"embedding": table})
    if page := viewer_page(study.folder / "viewer"):
        attempt(wandb_run.log, {"viewer": wandb.Html(page, inject=False)})
    if cubes := _cubes(study):
        attempt(wandb_run.log, cubes)
    attempt(wandb_run.log, _figures(drawings))


def log_analysis(loggers: Sequence[Logger], study: Study, drawings: Sequence[Drawing] = ()) -> None:
    """Log an analysis: answers as summary, all results as a table, and figures."""
    if (logger := run_logger(loggers)) is None:
        return
    wandb_run, attempt = logger.experiment, logger.attempt
    attempt(wandb_run.summary.update, _answers(study))
    table = wandb.Table(columns=list(Result._fields), data=[list(row) for row in study.results])
    attempt(wandb_run.log, {"results": table})
    attempt(wandb_run.log, _figures(drawings))


def _figures(drawings: Sequence[Drawing]) -> dict[str, wandb.Image]:
    return {f"figures/{d.name}": wandb.Image(str(d.png), caption=d.caption) for d in drawings}


def log_comparison(
    loggers: Sequence[Logger], settings: Sequence[Setting], differences: Sequence[Difference], figure: Path
) -> None:
    """Log a comparison of settings: tables of their measures and of differences over objects, and the figure."""
    if (logger := run_logger(loggers)) is None:
        return
    rows: list[Any] = [
        [name, measure.label, measure.metric, row.value, row.low, row.high]
        for measure in collect_measures(settings)
        for name, row in measure.found.items()
    ]
    columns: list[Any] = ["setting", "measure", "metric", "value", "low", "high"]
    shown = {"comparison": wandb.Table(columns=columns, data=rows), "figures/compare": wandb.Image(str(figure))}
    if differences:
        shown["differences"] = wandb.Table(columns=list(Difference._fields), data=[list(row) for row in differences])
    logger.attempt(logger.experiment.log, shown)


def _by_count(study: Study) -> dict[int, dict[str, float]]:
    """Return the values of every series at each count."""
    series = {
        "accuracy/headline": study.series("accuracy", probe=study.probe),
        "accuracy/norm": study.series("accuracy", control="norm", probe=study.probe),
        "reconstruction/rmse": study.reconstruction_series(),
        "reconstruction/sample_rmse": study.reconstruction_series("sample_rmse"),
    }
    for target in study.object_targets:
        for line in study.lines_of(target):
            series[f"decodability/{target}" + ("" if line.label == study.given else f" {line.label}")] = line.rows
    values: dict[int, dict[str, float]] = defaultdict(dict)
    for name, rows in series.items():
        for row in rows:
            values[row.count or 0][name] = row.value
    return values


def _by_epoch(study: Study) -> dict[int, dict[str, float]]:
    """Return the training curves of the headline's probe, averaged over seeds."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for p in study.curves:
        if (p.target, p.input, p.control, p.probe) == ("count", study.input, "none", study.probe):
            found[p.epoch][f"probe/{p.split}_{p.metric}"].append(p.value)
    return {epoch: {name: float(np.mean(of)) for name, of in each.items()} for epoch, each in found.items()}


def _summary(study: Study) -> dict[str, object]:
    """Return answers, headline, and the accuracy of the headline's probe under every control."""
    told: dict[str, object] = {f"headline/{name}": value for name, value in study.summary["headline"].items()}
    told |= _answers(study)
    for row in study.control_rows():
        if row.probe == study.probe:
            other = "" if row.input in (study.input, row.control) else f" {row.input}"
            told[f"control/{row.control}{other}"] = row.value
    return told


def _answers(study: Study) -> dict[str, object]:
    told: dict[str, object] = {
        f"answer/{i}": f"{a.question} {a.text}".strip() for i, a in enumerate(study.answers, start=1)
    }
    return told | {f"answer/{i}/value": a.value for i, a in enumerate(study.answers, start=1) if a.value is not None}


def _embedding(study: Study) -> wandb.Table | None:
    """Return r / count along its principal axes, a row for each object and count, for W&B's projector."""
    if not (told := study.arrays("embedding")):
        return None
    points, counts, shape = told["mean"], told["counts"], told.get("shape")
    columns: list[Any] = ["object", "count", "shape", *(f"axis_{i + 1}" for i in range(points.shape[-1]))]
    rows: list[Any] = [
        [thing, int(count), None if shape is None else int(shape[thing]), *map(float, points[thing, column])]
        for thing in range(len(points))
        for column, count in enumerate(counts)
    ]
    return wandb.Table(columns=columns, data=rows)


def _cubes(study: Study) -> dict[str, list[wandb.Object3D]]:
    """Return the decoded cubes of each object as 3-D objects: a box for each cell, labelled with its probability."""
    if not (told := study.arrays("voxels")):
        return {}
    columns = {"true": ("true", "true_color")}
    columns |= {f"from {k}": (f"trained_{k}", f"trained_color_{k}") for k in told["counts"].tolist()}
    return {
        f"cubes/{name}": [
            _boxes(told["cells"], occupied, colors) for occupied, colors in zip(told[read], told[painted], strict=True)
        ]
        for name, (read, painted) in columns.items()
    }


def _boxes(cells: np.ndarray, occupied: np.ndarray, colors: np.ndarray) -> wandb.Object3D:
    """Return the cells of one object that are decoded as filled."""
    filled = np.flatnonzero(occupied >= FAINTEST)
    paints = (255 * colors[filled]).round()
    boxes = [
        {"corners": (cells[i] + CORNERS).tolist(), "label": f"{occupied[i]:.2f}", "color": paint.astype(int).tolist()}
        for i, paint in zip(filled, paints, strict=True)
    ]
    points = np.concatenate([cells[filled], paints], axis=1)
    return wandb.Object3D({"type": "lidar/beta", "points": points, "boxes": np.array(boxes)})


def _confusion_matrix(study: Study) -> object:
    """Return W&B's chart of the headline's confusion matrix."""
    cells: list[Any] = [[str(true), str(read), n] for true, read, n in study.headline_confusion]
    return wandb.plot_table(
        vega_spec_name="wandb/confusion_matrix/v1",
        data_table=wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=cells),
        fields={"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"},
        string_fields={"title": "true count against count read"},
    )

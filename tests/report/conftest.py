"""A made-up study folder in the real format: numbers on simple curves, so that tests know what to expect."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from viewer_pictures import write_viewer

from gqn_probe.results import ConfusionCell, CurvePoint, Result, Similarity, write_rows

COUNTS = tuple(range(2, 16))
OVERALL = {
    "none": 0.71, "norm": 0.58, "divided": 0.41, "direction": 0.38, "repeated": 0.64, "incoherent": 0.69,
    "untrained": 0.66, "control_task": 0.09, "shuffled": 0.07, "pixels": 0.33, "cameras": 0.52,
}  # fmt: skip


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete study; tests add files to it but change none."""
    return write_study(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def bare_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that left ``results.csv`` and what its headline is of alone."""
    return write_study(tmp_path_factory.mktemp("bare"), full=False)


def write_study(folder: Path, *, full: bool = True) -> Path:
    """A study of counts 2..15; ``full=False`` leaves out every optional file."""
    study = folder / "study"
    study.mkdir(parents=True)
    write_rows(study / "results.csv", Result, itertools.starmap(Result, _results(full)))
    if full:
        write_rows(study / "curves.csv", CurvePoint, itertools.starmap(CurvePoint, _curves()))
        write_rows(study / "confusion.csv", ConfusionCell, itertools.starmap(ConfusionCell, _confusion()))
        pairs = [("cka", a, b, 1 - 0.02 * abs(a - b)) for a in COUNTS for b in COUNTS if a <= b]
        pairs += [("drift", k - 1, k, 1 / k) for k in COUNTS[1:]] + [("turn", k - 1, k, 20 / k) for k in COUNTS[1:]]
        pairs += [("participation_ratio", k, k, 4 + 0.1 * k) for k in COUNTS]
        write_rows(study / "similarity.csv", Similarity, itertools.starmap(Similarity, pairs))
        np.savez(study / "reconstructions.npz", **pictures())  # pyright: ignore[reportArgumentType]
        np.savez(study / "voxels.npz", **voxels())  # pyright: ignore[reportArgumentType]
        write_viewer(study / "viewer")
        np.savez(study / "embedding.npz", **embedding())  # pyright: ignore[reportArgumentType]
        (study / "provenance.json").write_text(json.dumps(PROVENANCE))
    (study / "summary.json").write_text(json.dumps(SUMMARY if full else {"headline": OF}))
    return folder


def pictures(scenes: int = 4, views: int = 15, size: int = 16) -> dict[str, np.ndarray]:
    """Coloured squares that get sharper with the count."""
    rng = np.random.default_rng(0)
    truth = np.full((scenes, size, size, 3), 210, np.uint8)
    for scene in range(scenes):
        truth[scene, 4:12, 3 + scene : 10 + scene] = rng.integers(0, 255, 3)
    context = np.stack([np.roll(truth, view, axis=2) for view in range(views)], axis=1)
    noisy = {
        f"{kind}_{k}": np.clip(truth + rng.normal(0, scale / k, truth.shape), 0, 255).astype(np.uint8)
        for k in COUNTS
        for kind, scale in (("truth", 0), ("reconstruction", 60), ("sample", 160))
    }
    noisy |= {
        f"samples_{k}": np.stack([noisy[f"sample_{k}"], np.roll(noisy[f"sample_{k}"], 1, axis=2), truth], axis=1)
        for k in COUNTS
    }
    seen = np.tile(np.array(COUNTS) == 15, (scenes, 1))
    return {"context": context, "counts": np.array(COUNTS), "query_seen": seen, **noisy}


def embedding() -> dict[str, np.ndarray]:
    """Three objects whose r grows with the count."""
    direction = np.eye(3, 4, dtype=np.float32)
    total = direction[:, None] * np.array(COUNTS, np.float32)[:, None]
    share = np.array([0.6, 0.3, 0.1, 0.0], np.float32)
    mean = np.repeat(direction[:, None], len(COUNTS), axis=1)
    planes = {"sum": total, "mean": mean, "sum_share": share, "mean_share": share}
    planes |= {"neighbours": mean[..., :2], "neighbours_counts": np.array(COUNTS)}
    known = {"counts": np.array(COUNTS), "color": direction[:, :3], "shape": np.arange(3)}
    return {"neighbours_method": np.array("UMAP"), **known, **planes}


def voxels() -> dict[str, np.ndarray]:
    """Two objects on a line of three cells, of which r tells more from more images."""
    cells = np.array([[-1, 0, 0], [0, 0, 0], [1, 0, 0]], np.int8)
    true = np.array([[1, 1, 0], [0, 1, 1]], np.float32)
    color = np.tile(np.array([0.9, 0.2, 0.1], np.float32), (2, 3, 1))
    read = {f"trained_{k}": (0.3 + 0.4 * true) * k / 15 for k in (5, 15)}
    read |= {f"trained_color_{k}": color for k in (5, 15)} | {f"untrained_{k}": 0.5 * true[::-1] for k in (5, 15)}
    read["objects"] = np.array([3, 7])
    return {"cells": cells, "counts": np.array([5, 15]), "true": true, "true_color": color, **read}


def _results(full: bool) -> Iterable[Sequence[object]]:
    def row(
        target: str,
        control: str,
        probe: str,
        count: int | str,
        metric: str,
        value: float,
        spread: float = 0.04,
    ):
        given = "" if target == "reconstruction" else "pooled"
        return (
            target,
            given,
            control,
            probe,
            "",
            "test",
            count,
            metric,
            value,
            value - spread,
            value + spread,
            60,
        )

    for count in COUNTS:
        yield row("count", "none", "linear", count, "accuracy", accuracy(count))
        yield row("count", "norm", "linear", count, "accuracy", accuracy(count) - 0.13)
        yield row("reconstruction", "", "", count, "rmse", 30 / count, 0.5)
        if full:
            for metric, value in (
                ("sample_rmse", 60 / count),
                ("shuffled_rmse", 50.0),
                ("nearest_rmse", 40.0),
                ("spread_rmse", 20 / count),
                ("averaged_rmse", 50 / count),
                ("kl", 100 / count),
            ):
                yield row("reconstruction", "", "", count, metric, value, 0.5)
            yield row("count", "none", "linear", count, "adjacent_auc", 0.9)
            yield row("color", "none", "linear", count, "r2", 0.4 + 0.02 * count)
            yield row("shape", "none", "linear", count, "accuracy", 0.1 + 0.01 * count)
            yield row("shape", "untrained", "linear", count, "accuracy", 0.1)
    for objects in (50, 200, 800) if full else ():
        learned = row("shape", "none", "linear", 15, "accuracy", 0.05 * np.log2(objects))
        yield (*learned, objects)
    for control, value in OVERALL.items():
        yield row("count", control, "linear", "", "accuracy", value)
        yield row("count", control, "mlp", "", "accuracy", min(value + 0.06, 0.95))
    yield row("count", "none", "linear", "", "mean_absolute_error", 0.6)
    yield ("count", "pooled", "none", "linear", 0, "train", "", "accuracy", 0.9, "", "", 600)


def accuracy(count: int) -> float:
    """The made-up accuracy of the linear probe at a count."""
    return 0.97 - 0.035 * (count - 2)


def _curves() -> Iterable[Sequence[object]]:
    for seed in (0, 1):
        for epoch in range(1, 41):
            for split, gap in (("train", 0.0), ("validation", 0.05)):
                reached = 0.7 * (1 - np.exp(-epoch / 12)) - gap + 0.01 * seed
                yield ("count", "pooled", "none", "linear", seed, epoch, split, "accuracy", reached)
                yield ("count", "pooled", "none", "linear", seed, epoch, split, "loss", 2.7 - 2 * reached)


def _confusion() -> Iterable[Sequence[object]]:
    for true in COUNTS:
        for predicted in COUNTS:
            yield (
                "pooled",
                "none",
                "linear",
                true,
                predicted,
                round(60 * np.exp(-((true - predicted) ** 2))),
            )


OF = {"probe": "linear", "input": "pooled"}
LABELS = {"none": "r as it is", "norm": "length of r only", "untrained": "untrained encoder"}

SUMMARY = {
    "question": "Does the scene representation tell how many images it was formed from?",
    "answer": "The linear probe names the count of unseen objects with accuracy 0.71 (95 % interval 0.67 to "
    "0.75); the norm of r alone reaches 0.58, so 0.13 (0.10 to 0.16) of it is more than length.",
    "answers": [
        {"question": "Can the count be read?", "text": "Yes: accuracy 0.71 (95 % interval 0.67 to 0.75).",
         "value": 0.71, "low": 0.67, "high": 0.75, "licence": "any sum of non-negative views can be counted"},
        {"question": "What do further images add?", "text": "Colour: +0.26 (0.2 to 0.3) from 2 to 15 images.",
         "value": 0.26, "low": 0.2, "high": 0.3, "licence": "paired rise on the same objects, above summed pixels"},
        {"question": "What does training add?", "text": "Shape: +0.15 (0.1 to 0.2) at 15 images.",
         "value": 0.15, "low": 0.1, "high": 0.2, "licence": "paired difference to untrained networks of one width"},
    ],
    "headline": {**OF, "accuracy": 0.71, "accuracy_low": 0.67, "accuracy_high": 0.75, "norm_only": 0.58,
                 "norm_only_low": 0.54, "norm_only_high": 0.62, "difference": 0.13, "difference_low": 0.1,
                 "difference_high": 0.16, "chance": 1 / 14},
    "counts": list(COUNTS),
    "failed": [],
    "objects": 60,
    "convention": "count = number of context images",
    "notes": ["At 15 of 15 views the query is one of the context images."],
    "settings": {"probes": {"linear": {"epochs": 100}}, "seeds": 5, "resamples": 1000, "permutations": 200},
    "labels": LABELS,
}  # fmt: skip

PROVENANCE = {
    "config": {"seed": 0, "context": "2..15", "data": {"views": 16, "size": 64}},
    "revision": "611fa52",
    "data_fingerprint": "ab12" * 8,
    "checkpoint_fingerprint": "cd34" * 8,
    "versions": {"python": "3.11.2", "torch": "2.13.0"},
    "command": "python probe.py -m context=2..15",
    "wall_time": 241.5,
}

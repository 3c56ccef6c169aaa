"""The job of one count: r of every scene, and the prediction of a held-out query view from it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import check_inputs
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import TASKS, Selection, sum_views
from gqn_probe.analysis.pictures.uncertainty import draw_samples, likelihood_scores, sample_scores
from gqn_probe.analysis.protocols.jobs import job_metadata
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.atomic_io import write_arrays, write_csv, write_tensors, write_text
from gqn_probe.data.store.store_reader import scene_names
from gqn_probe.progress import progress
from gqn_probe.types import to_unit

BATCH = 8  # scenes predicted at a time; the random draws depend on it


class Prediction(NamedTuple):
    """Images of a batch of scenes in 0..1, not clamped."""

    truth: Float[Tensor, "b c h w"]
    reconstruction: Float[Tensor, "b c h w"]  # from the posterior, which is given the truth
    sample: Float[Tensor, "b c h w"]  # from the prior
    shuffled: Float[Tensor, "b c h w"]  # from the prior, given the representation of another scene
    nearest: Float[Tensor, "b c h w"]  # the context view whose camera is nearest
    mean: Float[Tensor, "b c h w"]  # over all views that are no query
    samples: Float[Tensor, "b sample c h w"]  # several from the prior
    scores: dict[str, Float[Tensor, " b"]]  # KL, and the metrics of uncertainty.py
    query_seen: bool


def run_count(study_inputs: StudyInputs, count: int, settings: StudySettings, folder: Path) -> Path:
    """Write the files of one count to ``folder``; ``job.json``, written last, marks the job as complete.

    Raises:
        ValueError: the scenes have too few views for the count, or an input is unknown.
    """
    study_inputs.check(count)
    settings = settings.supported_by(study_inputs.network)
    check_inputs(study_inputs.network, settings.inputs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").unlink(missing_ok=True)  # of an earlier run in this folder
    scenes = study_inputs.scenes
    selection = TASKS[settings.protocol](len(scenes), scenes.views, count, settings.seed).context
    phi = study_inputs.features(("pooled",))["pooled"]
    pooled = sum_views(phi, selection, aggregation=study_inputs.network.aggregation)
    seen = torch.zeros(len(scenes), scenes.views, dtype=torch.bool).scatter_(1, selection.views, True)
    content = {"representation": pooled, "views": seen, "scenes": torch.arange(len(scenes))}
    write_tensors(folder / "representation.safetensors", content, {"names": json.dumps(scene_names(scenes))})
    if study_inputs.predicts_images:
        _reconstruct(study_inputs, count, settings, folder)
    write_text(folder / "job.json", json.dumps({"count": count, **job_metadata(study_inputs, settings)}))
    return folder


@torch.no_grad()  # covers the generator below, too, which runs inside of this function
def _reconstruct(study_inputs: StudyInputs, count: int, settings: StudySettings, folder: Path) -> None:
    rows, pictures = [], {"truth": [], "reconstruction": [], "sample": [], "samples": []}
    names = scene_names(study_inputs.scenes[: settings.reconstruct])
    scene = 0
    for prediction in _predictions(study_inputs, count, settings):
        errors = {
            "": prediction.reconstruction,
            "sample_": prediction.sample,
            "shuffled_": prediction.shuffled,
            "nearest_": prediction.nearest,
            "mean_": prediction.mean,
        }
        columns = {f"{name}mse": _mse(image, prediction.truth) for name, image in errors.items()}
        columns |= prediction.scores
        for i in range(len(prediction.truth)):
            cells = ((metric, float(values[i])) for metric, values in columns.items())
            rows += [(scene + i, names[scene + i], count, int(prediction.query_seen), *cell) for cell in cells]
        scene += len(prediction.truth)
        for kind, images in pictures.items():
            if scene <= settings.show + BATCH:
                images.append(_bytes(getattr(prediction, kind)))
    write_csv(folder / "reconstruction.csv", ("scene", "name", "count", "query_seen", "metric", "value"), rows)
    shown = {kind: torch.cat(images)[: settings.show].numpy() for kind, images in pictures.items() if images}
    some = study_inputs.scenes[: len(shown.get("truth", ()))]
    context = TASKS[settings.protocol](len(some), some.views, count, settings.seed).context
    frames = rearrange(some.frames[context.scenes, context.views], "n v c h w -> n v h w c")
    write_arrays(folder / "reconstructions.npz", {"context": frames.numpy(), **shown})


def _predictions(study_inputs: StudyInputs, count: int, settings: StudySettings) -> Iterator[Prediction]:
    """Yield predictions of the first scenes' queries in batches of fixed composition."""
    some = study_inputs.scenes[: settings.reconstruct]
    if not len(some):
        return
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    maps = study_inputs.features(("representation",), scenes=some)["representation"]
    task = TASKS[settings.protocol](len(some), some.views, count, settings.seed)
    query = task.query
    representation = sum_views(maps, task.context, aggregation=gqn.aggregation)
    everyone = torch.arange(len(some))
    cameras = study_inputs.encode_cameras(some.cameras)
    nearest = _nearest(cameras, task.context, query)
    mean = _mean_image(some.frames, query)
    generator_devices = [] if device == "cpu" else [torch.device(device)]
    with progress(f"reconstructing from {count}", len(some), "views") as advance:
        for part in everyone.split(BATCH):
            truth = to_unit(some.frames[part, query[part]]).to(device)
            camera = cameras[part, query[part]].to(device)
            r = representation[part].to(device)
            other = representation[(part + 1) % len(some)].to(device)
            predicted = gqn.predict(r, truth, camera, deterministic=True)
            with torch.random.fork_rng(devices=generator_devices):
                draw = np.random.SeedSequence([settings.seed, count, int(part[0])]).generate_state(1)[0]
                torch.manual_seed(int(draw))
                size = truth.shape[-2], truth.shape[-1]
                sample, shuffled = (gqn.sample_from(each, camera, size=size) for each in (r, other))
                scores = {"kl": predicted.kl}
                samples = draw_samples(gqn, r, camera, size=size, samples=settings.samples)
                scores |= sample_scores(samples, truth)
                scores |= likelihood_scores(gqn, r, camera, truth, samples=settings.samples)
            nearest_view = to_unit(some.frames[part, nearest[part]])
            images = (truth, predicted.mean, sample, shuffled, nearest_view, mean.expand_as(truth), samples)
            scores = {name: values.float().cpu() for name, values in scores.items()}
            shown = [image.float().cpu() for image in images]
            yield Prediction(*shown, scores=scores, query_seen=task.query_seen)
            advance(len(part))


def _nearest(cameras: Float[Tensor, "s v p"], selection: Selection, query: Tensor) -> Tensor:
    """Return the context view whose camera is nearest to the query's."""
    everyone = torch.arange(len(cameras))
    positions = cameras[everyone[:, None], selection.views, :3]
    distance = (positions - cameras[everyone, query][:, None, :3]).norm(dim=-1)
    return selection.views[everyone, distance.argmin(dim=1)]


def _mean_image(frames: UInt8[Tensor, "s v c h w"], query: Int[Tensor, " s"]) -> Float[Tensor, "c h w"]:
    """Return the mean of all views but the queries."""
    total = frames.sum(dim=(0, 1), dtype=torch.float64)
    asked = frames[torch.arange(len(frames)), query].sum(dim=0, dtype=torch.float64)
    return ((total - asked) / (255 * len(frames) * (frames.shape[1] - 1))).float()


def _mse(image: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    return reduce((image.clamp(0, 1) - truth) ** 2, "b c h w -> b", "mean")


def _bytes(image: Float[Tensor, "*b c h w"]) -> UInt8[Tensor, "*b h w c"]:
    return rearrange(image.clamp(0, 1).mul(255).round().to(torch.uint8), "... c h w -> ... h w c")

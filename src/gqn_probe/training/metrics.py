"""Metrics of predicted held-out views and of baselines.

A posterior reconstruction has seen its target, so it says nothing about the representation. The measure is the prior
sample given the true context, compared with samples for another scene's context, samples for another camera, the mean
image, and the context view whose camera is nearest to the query's.
"""

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torchmetrics import MeanMetric
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gqn_probe.data.episodes import make_episode
from gqn_probe.model import GQN
from gqn_probe.types import Batch, Episode, to_unit

SAMPLES = 4  # samples of each prediction, for mean and spread


def held_out_episode(batch: Batch, count: int) -> Episode:
    """Return the first ``count`` views of each scene as context, and its last view, never in the context, as query."""
    scenes, views = batch.frames.shape[:2]
    if count >= views:
        raise ValueError(f"count {count} leaves no unseen query among {views} views; use at most {views - 1}")
    context = torch.arange(count).expand(scenes, count)
    return make_episode(batch, context, torch.full((scenes, 1), views - 1))


def nearest_view(episode: Episode) -> Float[Tensor, "b c h w"]:
    """Return the context frame whose camera position is nearest to the query's."""
    distance = (episode.context_cameras[..., :3] - episode.query_cameras[..., :3]).norm(dim=-1)
    row = torch.arange(len(distance), device=distance.device)
    return episode.context_frames[row, distance.argmin(dim=1)]


class PredictionMetrics:
    """Mean scores of predictions over scenes, by source and number of context views.

    Names read ``SOURCE/METRIC`` at the reference count and ``context_K/SOURCE/METRIC`` at every count. Errors are
    root-mean-square on the 0..255 scale (``rmse``, ``object_rmse``), mean squared on 0..1 (``mse``), SSIM, PSNR in
    decibels, and ``iou``, the intersection over union of silhouettes. ``spread`` is the root-mean-square deviation of
    samples from their mean, on 0..255; ``kl`` is the KL from posterior to prior in nats. A batch of one
    scene has no scores for another scene's context or camera, nor for colour.
    """

    def __init__(self, counts: tuple[int, ...], reference_count: int) -> None:
        self.counts = counts
        self.reference_count = reference_count
        self.means: dict[str, MeanMetric] = {}

    def update(self, gqn: GQN, batch: Batch) -> None:
        """Score predictions of each scene's query from each count of context views; each view is encoded once."""
        counts = [count for count in self.counts if count < batch.frames.shape[1]]
        if not counts:
            return
        widest = held_out_episode(batch, max(counts))
        phi = gqn.encode(widest.context_frames, widest.context_cameras)
        # Of the batch's other views: the mean of its few queries would contain much of each of them.
        mean_image = to_unit(batch.frames[:, :-1]).mean(dim=(0, 1))
        for count in counts:
            self._update_count(gqn, held_out_episode(batch, count), gqn.aggregate(phi[:, :count]), mean_image)

    def _update_count(
        self,
        gqn: GQN,
        episode: Episode,
        representation: Float[Tensor, "b d y x"],
        mean_image: Float[Tensor, "c h w"],
    ) -> None:
        count = episode.context_frames.shape[1]
        truth, camera = episode.query_frames[:, 0], episode.query_cameras[:, 0]
        size = truth.shape[-2], truth.shape[-1]

        def draw(representation: Tensor, camera: Tensor, samples: int = 1) -> Tensor:
            images = gqn.sample_from(representation, camera, size=size, samples=samples)
            return rearrange(images.float(), "(b s) c h w -> b s c h w", s=samples)

        at_reference, others = count == self.reference_count, len(truth) > 1  # one scene would be its own control
        samples = draw(representation, camera, SAMPLES)
        self._add(f"context_{count}/kl", gqn.predict(representation, truth, camera).kl)
        scores = {"sample/variance": reduce(samples.var(dim=1), "b c h w -> b", "mean")}
        predictions = {
            "sample": samples[:, 0],
            "mean_of_samples": samples.mean(dim=1),
            "nearest_view": nearest_view(episode),
        }
        if others:
            shuffled = draw(representation.roll(1, dims=0), camera, SAMPLES if at_reference else 1)
            predictions["shuffled"] = shuffled[:, 0]
            if at_reference:
                predictions["other_camera"] = draw(representation, camera.roll(1, dims=0))[:, 0]
                for source, drawn in (("sample", samples), ("shuffled", shuffled)):
                    self._add(f"{source}/color_cosine", color_cosine(drawn.mean(dim=1), truth))
        if at_reference:
            predictions["mean_image"] = mean_image.expand_as(truth)
        for source, prediction in predictions.items():
            of_source = image_scores(prediction.float().clamp(0, 1), truth)
            scores |= {f"{source}/{metric}": value for metric, value in of_source.items()}
        for name, value in scores.items():
            self._add(f"context_{count}/{name}", value)
            if at_reference:
                self._add(name, value)

    def _add(self, name: str, value: Float[Tensor, " b"]) -> None:
        if name not in self.means:
            self.means[name] = MeanMetric(nan_strategy="ignore").to(value.device)
        self.means[name].update(value)

    def compute(self) -> dict[str, Tensor]:
        """Return the means since the last call, with root-mean-squares of mean squares, and reset the metrics."""
        values = {name: metric.compute() for name, metric in self.means.items()}
        for metric in self.means.values():
            metric.reset()
        for name in list(values):
            if name.endswith("mse"):
                values[f"{name.removesuffix('mse')}rmse"] = 255 * values[name].sqrt()
            elif name.endswith("variance"):
                values[f"{name.removesuffix('variance')}spread"] = 255 * values.pop(name).sqrt()
        return values


def image_scores(
    prediction: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]
) -> dict[str, Float[Tensor, " b"]]:
    """Return scores of each image: ``mse``, ``object_mse`` (object pixels alone), ``psnr`` in dB, ``ssim``, ``iou``."""
    squared = reduce((prediction - truth) ** 2, "b c h w -> b h w", "mean")
    mask = object_mask(truth)
    object_squared = (squared * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2))  # NaN, thus ignored, without object
    psnr = peak_signal_noise_ratio(prediction, truth, data_range=1.0, reduction="none", dim=(1, 2, 3))
    # SSIM's variances are small differences, which bfloat16 cannot resolve.
    with torch.autocast(prediction.device.type, enabled=False):
        ssim = structural_similarity_index_measure(prediction, truth, data_range=1.0, reduction="none")
    assert isinstance(ssim, Tensor)
    return {
        "mse": reduce(squared, "b h w -> b", "mean"),
        "object_mse": object_squared,
        "psnr": rearrange(psnr, "b -> b"),
        "ssim": rearrange(ssim, "b -> b"),
        "iou": silhouette_iou(prediction, truth),
    }


def silhouette_iou(prediction: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Return the intersection over union of the object's pixels; 1 if neither image has any."""
    predicted, true = object_mask(prediction), object_mask(truth)
    union = (predicted | true).sum(dim=(1, 2))
    return torch.where(union > 0, (predicted & true).sum(dim=(1, 2)) / union.clamp(min=1), 1.0)


def object_mask(frames: Float[Tensor, "b c h w"], threshold: float = 0.1) -> Bool[Tensor, "b h w"]:
    """Return the object's pixels: those that differ from the background by more than ``threshold`` in some channel.

    The background of a row is interpolated between its first and last pixel, which no centred object reaches: exact
    for plain and linearly graded backgrounds. Most of a frame is background, which any model learns at once.
    """
    left, right = frames[..., :1], frames[..., -1:]
    position = torch.linspace(0, 1, frames.shape[-1], device=frames.device)
    background = torch.lerp(left, right, position)
    return ((frames - background).abs() > threshold).any(dim=1)


def object_color(frames: Float[Tensor, "b c h w"], mask: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c"]:
    """Return the mean colour over the masked pixels; zeros if there are none."""
    weight = rearrange(mask, "b h w -> b 1 h w").to(frames.dtype)
    return (frames * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp_min(1)


def color_cosine(predicted: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Return the cosine between object colours of prediction and truth, both minus the batch's mean true colour.

    1 means the right hue, 0 no relation; a prediction that ignores its context scores near 0.
    """
    mask = object_mask(truth)
    true = object_color(truth, mask)
    center = true.mean(dim=0)
    return cosine_similarity(object_color(predicted, mask) - center, true - center, dim=1)

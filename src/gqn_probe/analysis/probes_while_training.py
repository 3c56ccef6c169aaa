"""Lightning callback that probes r at validations: learning curves of decodability beside the loss.

Probes that need no tuning on a few held-out objects: ridge regression with leave-one-out cross-validation, and the
nearest neighbour.
"""

import logging
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as L
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import nested, sum_views
from gqn_probe.analysis.probes.ridge import KernelRidge, linear_kernel
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Values
from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.model import GQN
from gqn_probe.types import Scenes

log = logging.getLogger(__name__)
BATCH = 16  # scenes encoded at a time
FEWEST = 4  # objects, of which probes are trained on a half


class ProbesWhileTraining(L.Callback):
    """Logs ``val/probe/TARGET/PROBE/context_K`` and ``val/probe/count/PROBE`` at validations of a few objects or more.

    Args:
        every: probe at every so-manieth validation; None: never.
        objects: number of validation scenes, from the first.
        counts: numbers of context views.
        targets: names of decoding targets; scenes without known objects have the count alone.
        strengths: candidate strengths of ridge regression.
    """

    def __init__(
        self,
        *,
        every: int | None,
        objects: int,
        counts: Sequence[int],
        targets: Sequence[str],
        strengths: Sequence[float],
    ) -> None:
        unknown = [name for name in targets if name not in TARGETS]
        if unknown:
            raise ValueError(f"callbacks.probes.targets has {', '.join(unknown)}: choose from {', '.join(TARGETS)}")
        if every is not None and every < 1:
            raise ValueError(f"callbacks.probes.every={every} must be 1 or more, or null for never")
        self.every, self.objects, self.counts = every, objects, counts
        self.targets, self.strengths = targets, strengths
        self.validations = 0

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the probes' scores at every ``every``-th validation."""
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        self.validations += 1
        if self.every is None or self.validations % self.every or not isinstance(data, SceneDataModule):
            return
        gqn = pl_module.gqn
        assert isinstance(gqn, GQN)
        scenes = data.scenes("val", limit=self.objects)
        if len(scenes) < FEWEST:
            if self.validations == self.every:
                log.info("nothing is decoded at validations: that takes %d scenes of split 'val' or more", FEWEST)
            return
        parts = [
            gqn.encode(part.frames.to(pl_module.device), data.encode(part.cameras).to(pl_module.device)).float().cpu()
            for part in (scenes[start : start + BATCH] for start in range(0, len(scenes), BATCH))
        ]
        phi = rearrange(torch.cat(parts), "s v d y x -> s v (d y x)")
        counts = [count for count in self.counts if count <= scenes.views]
        found = probe_scores(phi, scenes, counts, self.targets, self.strengths, aggregation=gqn.aggregation)
        # equal on every device: all probe the same objects
        pl_module.log_dict({f"val/probe/{name}": value for name, value in found.items()}, sync_dist=True)


def probe_scores(
    phi: Float[Tensor, "s v f"],
    scenes: Scenes,
    counts: Sequence[int],
    targets: Sequence[str],
    strengths: Sequence[float],
    *,
    aggregation: str = "sum",
) -> dict[str, float]:
    """Return held-out accuracy of classes and R² of values by ``TARGET/PROBE/context_K``, and of ``count/PROBE``."""
    known: dict[str, float] = {}
    rows = []
    for count in counts:
        views = nested(len(phi), phi.shape[1], count, seed=0)
        rows.append(sum_views(phi, views, aggregation=aggregation))
        products = linear_kernel(rows[-1])
        for name in targets if scenes.factors is not None else ():
            try:
                truth = TARGETS[name](scenes, views)
            except ValueError:  # undefined for these objects
                continue
            readings = {"linear": _linear(products, truth, strengths), "nearest": _nearest(products, truth)}
            for probe, read in readings.items():
                known[f"{name}/{probe}/context_{count}"] = _score(read, truth)
    if len(counts) > 1:
        known |= {f"count/{probe}": value for probe, value in _count_scores(torch.stack(rows), strengths).items()}
    return known


def _linear(
    products: Float[Tensor, "s s"], truth: Classes | Values, strengths: Sequence[float]
) -> Float[Tensor, "s j"]:
    ridge = KernelRidge(products, torch.arange(len(products)), strengths)
    return ridge.predict([truth])[0].left_out.float()


def _nearest(products: Float[Tensor, "s s"], truth: Classes | Values) -> Float[Tensor, "s j"]:
    squares = products.diagonal()
    distances = (squares[:, None] + squares - 2 * products).fill_diagonal_(torch.inf)
    return truth.columns[distances.argmin(dim=1)]


def _score(read: Float[Tensor, "s j"], truth: Classes | Values) -> float:
    if isinstance(truth, Values):
        error = (read - truth.values).square().sum()
        return float(1 - error / (truth.values - truth.values.mean(dim=0)).square().sum())
    asked = truth.labels >= 0
    return float((read.argmax(dim=1) == truth.labels)[asked].float().mean())


def _count_scores(rows: Float[Tensor, "k s f"], strengths: Sequence[float]) -> dict[str, float]:
    """Return the accuracy of the count on the second half of the objects, trained on the first half."""
    kinds, objects, _ = rows.shape
    half = objects // 2
    place = rearrange(torch.arange(kinds * objects), "(k s) -> k s", k=kinds)
    train, test = place[:, :half].flatten(), place[:, half:].flatten()
    labels = torch.arange(kinds).repeat_interleave(objects)
    products = linear_kernel(rearrange(rows, "k s f -> (k s) f"))
    ridge = KernelRidge(products, train, strengths)
    value = ridge.predict([Values(labels[:, None].float())])[0].values[test, 0]
    squares = products.diagonal()
    distances = squares[test, None] + squares[train] - 2 * products[test][:, train]
    read = {"linear": value.round().clamp(0, kinds - 1).long(), "nearest": labels[train][distances.argmin(dim=1)]}
    return {probe: float((found == labels[test]).float().mean()) for probe, found in read.items()}

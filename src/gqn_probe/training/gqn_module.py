"""LightningModule of the GQN: the ELBO of Eslami et al. 2018 (supplement, equations S1-S3) and held-out metrics.

All random numbers of a step are a function of (seed, rank, step), so that a resumed run continues with the numbers it
would have had.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import pytorch_lightning as L
import torch
from einops import rearrange
from jaxtyping import Float
from numpy.random import SeedSequence
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.episodes import draw_episode
from gqn_probe.data.formats.resize import resize_frames
from gqn_probe.model import GQN, GQNOutput, InputSpec
from gqn_probe.model.configured import check_rebuilds
from gqn_probe.model.gaussian import floor_nats, gaussian_nll
from gqn_probe.training.metrics import PredictionMetrics, held_out_episode
from gqn_probe.training.schedules import Schedule, Stage, as_schedule, check_stages, stage_at
from gqn_probe.types import Batch, Episode

log = logging.getLogger(__name__)


class GQNModule(L.LightningModule):
    """Training of a GQN.

    Args:
        gqn: the network to train.
        optimizer: makes the optimiser of the parameters and ``lr``, such as a partial ``torch.optim.AdamW``.
        learning_rate: the optimiser's step size by step; a number here and below is a constant schedule.
        sigma: standard deviation of the pixel likelihood by step, on the 0..1 scale of frames.
        kl_weight: weight of the KL by step; 1 is the paper's objective.
        scale_by_variance: multiply the loss by sigma squared, so that gradients keep their size as sigma falls.
        context: smallest and largest number of context views, drawn uniformly for each batch.
        queries: query views of each scene, predicted from one encoding of its context.
        sizes: curriculum of image sizes (see ``Stage``); empty trains on frames as they are.
        unseen_queries: draw queries outside the context; the paper draws them from all views.
        validation_counts: numbers of context views at which held-out predictions are scored.
        reference_count: the one of them whose scores are the headline metrics.
        compile: compile encoder and generator with torch.compile, which takes minutes before the first step.
        seed: of episodes and latent samples.
    """

    def __init__(  # noqa: PLR0913  (each argument is a setting of the configuration)
        self,
        gqn: GQN,
        *,
        optimizer: Callable[..., Optimizer],
        learning_rate: Schedule | float,
        sigma: Schedule | float,
        kl_weight: Schedule | float,
        scale_by_variance: bool,
        context: Sequence[int],
        queries: int,
        sizes: Sequence[Mapping[str, Any]],
        unseen_queries: bool,
        validation_counts: Sequence[int],
        reference_count: int,
        compile: bool,
        seed: int,
    ) -> None:
        super().__init__()
        if len(context) != 2 or not 1 <= context[0] <= context[1]:
            raise ValueError(
                f"training.context={list(context)} must be [smallest, largest] with 1 <= smallest <= largest"
            )
        if queries < 1:
            raise ValueError(f"training.queries={queries} must be at least 1")
        self.learning_rate = as_schedule("learning_rate", learning_rate)
        self.sigma = as_schedule("sigma", sigma)
        self.kl_weight = as_schedule("kl_weight", kl_weight)
        if min(self.sigma.start, self.sigma.end) <= 0:
            raise ValueError(f"training.sigma must stay above 0: start={self.sigma.start}, end={self.sigma.end}")
        if min(validation_counts, default=1) < 1:
            raise ValueError(f"training.validation_counts={list(validation_counts)} must be 1 or more each")
        if reference_count not in validation_counts:
            raise ValueError(f"training.reference_count={reference_count} is not in {list(validation_counts)}")
        self.gqn = gqn
        self.make_optimizer = optimizer
        self.scale_by_variance = scale_by_variance
        self.context = (context[0], context[1])
        self.queries = queries
        self.stages = [Stage(**stage) for stage in sizes]
        self.unseen_queries = unseen_queries
        self.reference_count = reference_count
        self.compiled = compile
        self.seed = seed
        self.prediction = PredictionMetrics(tuple(validation_counts), reference_count)

    def configure_optimizers(self) -> Any:
        # The schedule gives the step size itself, so the optimiser's own is 1.
        optimizer = self.make_optimizer(self.gqn.parameters(), lr=1.0)
        scheduler = LambdaLR(optimizer, self.learning_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def setup(self, stage: str) -> None:
        data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        try:
            self._refuse_float16()
            if isinstance(data, SceneDataModule):
                self._check_data(data)
        except ValueError:
            if self.trainer.is_global_zero:
                raise
            raise SystemExit(0) from None  # the first process reports the error
        if self.compiled:
            self.gqn.encoder.compile(dynamic=True)  # the number of views differs from batch to batch
            self.gqn.generator.compile()

    def _refuse_float16(self) -> None:
        """Raise ValueError for 16-bit precisions that scale gradients, whose norm is logged, or let them overflow."""
        precision = str(self.trainer.precision)
        if precision.startswith("16-"):
            raise ValueError(
                f"trainer.precision={precision} scales gradients or lets them overflow: "
                "use trainer.precision=bf16-mixed or 32-true"
            )

    def _check_data(self, data: SceneDataModule) -> None:
        """Adapt the network to the data, and raise before the first step for what would fail later.

        Raises:
            ValueError: a checkpoint could not be loaded, frames have another size, or there are too few views.
        """
        check_rebuilds(self.gqn)
        scenes = data.scenes("val" if data.online else "train", limit=1)
        height, width = scenes.frames.shape[-2:]
        # A resumed run loads its weights afterwards, and with them the constants of its data.
        self.gqn.adapt(InputSpec((height, width), data.camera_order, data.lens, data.background))
        if self.stages:
            check_stages(self.stages, height)
        if (bound := self.gqn.bound_size) is not None and (height, width) != (bound, bound):
            other = f" or model.generator.size={height}" if height == width else ""
            raise ValueError(
                f"the network is made for frames of {bound}x{bound}, the data has {height}x{width}: "
                f"add data.size={bound}{other}"
            )
        devices = self.trainer.world_size
        batch = data.batch_on_each(devices)
        if devices > 1:
            log.info("batches of %d scenes: %d on each of %d devices", devices * batch, batch, devices)
        validates = bool(self.trainer.limit_val_batches)
        queries = max([self.queries, *(stage.queries for stage in self.stages)])
        largest = scenes.views - queries if self.unseen_queries else scenes.views
        wanting, example = [], ""
        if self.context[1] > largest or queries > scenes.views:
            needed = self.context[1] + queries if self.unseen_queries else max(self.context[1], queries)
            wanting.append(f"training.context={list(self.context)} with training.queries={queries} needs {needed}")
            example = f", as in training.context=[1,{largest}]" if 1 <= largest < self.context[1] else ""
        if validates and self.reference_count >= scenes.views:
            wanting.append(f"training.reference_count={self.reference_count} needs {self.reference_count + 1}")
        if wanting:
            raise ValueError(f"the scenes have {scenes.views} views, but {' and '.join(wanting)}: lower them{example}")
        if validates and self.trainer.is_global_zero:
            share = -(-len(data.split("val")) // devices)
            if min(batch, share) == 1:
                log.info(
                    "validation batches hold one scene each, so there is no score of another scene's context: "
                    "for that, use data.batch_size and a validation split of 2 or more a device"
                )

    @property
    def stage(self) -> Stage | None:
        """The current stage of the curriculum, or None."""
        steps = self.trainer.max_steps
        return stage_at(self.stages, self.global_step / steps if steps > 0 else 1.0) if self.stages else None

    @property
    def queries_now(self) -> int:
        """Query views of each scene at the current step."""
        return self.stage.queries if self.stage else self.queries

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        step = self.trainer.fit_loop.total_batch_idx  # counts the batches of an accumulated gradient, too
        # The number of context views is the same on all ranks, so that they take equally long.
        shared = torch.Generator().manual_seed(stream(self.seed, step))
        own = torch.Generator().manual_seed(stream(self.seed, step, self.global_rank, 1))
        torch.manual_seed(stream(self.seed, step, self.global_rank, 2))
        least, greatest = self.context
        count = int(torch.randint(least, greatest + 1, (), generator=shared))
        if (stage := self.stage) is not None:
            batch = batch._replace(frames=resize_frames(batch.frames, stage.size))
        queries = self.queries_now
        episode = draw_episode(batch, context=count, queries=queries, unseen_queries=self.unseen_queries, generator=own)
        loss, scores = self.objective(episode)
        scores = {"loss": loss.detach(), **scores}
        means = self.trainer.strategy.reduce(torch.stack([*scores.values()]).detach(), reduce_op="mean")
        self.logged = dict(zip(scores, means, strict=True))
        self.scenes = batch.scenes
        self.log_dict({f"train/{name}": value for name, value in self.logged.items()})
        self.log("train/sigma", self.sigma(self.global_step))
        self.log("train/learning_rate", self.learning_rate(self.global_step))
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        # Lightning refuses to clip for a fused optimiser in mixed precision because of fp16's loss scaler, which fp32
        # and bf16 do not have; `setup` refuses fp16.
        limit = float("inf") if gradient_clip_val is None else gradient_clip_val
        norm = torch.nn.utils.clip_grad_norm_(self.gqn.parameters(), limit)
        self.log("train/gradient_norm", norm)
        self._refuse_non_finite(self.logged["loss"], norm)

    def _refuse_non_finite(self, loss: Tensor, gradient_norm: Tensor) -> None:
        """Raise FloatingPointError before the weights change, with the step and the scenes of all devices."""
        if torch.stack([loss, gradient_norm]).isfinite().all():
            return
        scenes = [self.scenes.tolist()] * self.trainer.world_size
        if self.trainer.world_size > 1:
            torch.distributed.all_gather_object(scenes, self.scenes.tolist())
        if not self.trainer.is_global_zero:
            raise SystemExit(0)  # the first process reports the error
        raise FloatingPointError(
            f"step {self.global_step}: loss {loss:.4g} and gradient norm {gradient_norm:.4g} are not both finite, "
            f"for scenes {', '.join(map(str, chain(*scenes)))}; lower the learning rate"
        )

    def objective(self, episode: Episode) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its terms, in nats for each query image.

            loss = -log N(x_q | mean, sigma^2) + kl_weight sum_l KL(q_l || pi_l)

        With ``kl_weight`` 1 it is the paper's negative ELBO; ``scale_by_variance`` multiplies it by sigma squared.
        """
        sigma = self.sigma(self.global_step)
        representation = self.gqn.aggregate(self.gqn.encode(episode.context_frames, episode.context_cameras))
        truth = rearrange(episode.query_frames, "b q c h w -> (b q) c h w")
        cameras = rearrange(episode.query_cameras, "b q p -> (b q) p")
        output = self.gqn.predict(representation, truth, cameras)
        scores = elbo_terms(output, truth, sigma)
        loss = scores["nats"] + self.kl_weight(self.global_step) * scores["kl"]
        if self.scale_by_variance:
            loss = sigma**2 * loss
        return loss, scores

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        torch.manual_seed(stream(self.seed, batch_index, self.global_rank, 3))  # the same draws at every validation
        episode = held_out_episode(batch, self.reference_count)
        truth, camera = episode.query_frames[:, 0], episode.query_cameras[:, 0]
        output = self.gqn(episode.context_frames, episode.context_cameras, truth, camera)
        scores = elbo_terms(output, truth, self.sigma(self.global_step))
        scores["elbo"] = -scores["nats"] - scores["kl"]
        scores["reconstruction/mse"] = scores.pop("mse")
        kl_steps = {f"kl_step/{step}": value for step, value in enumerate(output.kl_steps.mean(dim=0))}
        logged = {f"val/{name}": value for name, value in (scores | kl_steps).items()}
        # Lightning makes a tensor on the device of a number; NCCL reduces no others.
        self.log_dict(logged | {"val/sigma": self.sigma(self.global_step)}, batch_size=len(truth), sync_dist=True)
        self.prediction.update(self.gqn, batch)

    def on_validation_epoch_end(self) -> None:
        scores = self.prediction.compute()
        self.log_dict({f"val/{name}": value.float() for name, value in scores.items()}, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["gqn_settings"] = self.gqn.settings()
        self.gqn.input_spec = self.gqn.input_spec._replace(sigma=self.sigma(self.global_step))
        checkpoint["trained_on"] = self.gqn.input_spec.facts()
        checkpoint["validation"] = validation_metrics(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint["gqn_settings"] != self.gqn.settings():
            raise ValueError("the checkpoint holds another network: do not change the settings of model")
        InputSpec.from_facts(checkpoint.get("trained_on", {})).check(self.gqn.input_spec)


def validation_metrics(trainer: L.Trainer) -> dict[str, float]:
    """Return the metrics of the last validation."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}


def elbo_terms(output: GQNOutput, truth: Float[Tensor, "b c h w"], sigma: float) -> dict[str, Tensor]:
    """Return batch means: negative log-likelihood ``nats``, also above its floor and per dimension, ``kl``, ``mse``."""
    dimensions = truth[0].numel()
    nats = gaussian_nll(output.mean, truth, sigma).mean()
    kl = output.kl.mean()
    return {
        "nats": nats,
        "nats_above_floor": nats - floor_nats(sigma, dimensions),
        "nats_per_dimension": (nats + kl) / dimensions,
        "kl": kl,
        "mse": torch.mean((output.mean.float() - truth) ** 2),
    }


def stream(*numbers: int) -> int:
    """Return a 63-bit seed from non-negative integers, which trailing zeros do not change."""
    return int(SeedSequence(numbers).generate_state(1, "uint64")[0] >> 1)

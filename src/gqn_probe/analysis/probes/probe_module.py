"""LightningModule of many independent softmax classifiers, trained side by side.

Every probe has its own rows, split, seed and L2 strength. Their losses add up, so that the gradient of each is its own,
and Adam works element by element: each is trained as if alone. Data sets of one width share a batched matrix product,
which makes a grid of several hundred probes cost little more than its arithmetic.
``hidden=None`` is multinomial logistic regression, ``hidden=128`` the original study's perceptron.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import pytorch_lightning as lightning
import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric

from gqn_probe.analysis.probes.evaluation import Curves

IGNORED = -1  # the label of padding


class StackBatch(NamedTuple):
    """One batch for the probes of one width."""

    inputs: Float[Tensor, "t n d"]
    labels: Int[Tensor, "t n"]


class ProbeStack(nn.Module):
    """Probes of ``t`` data sets of one width x ``m`` L2 strengths; those of one data set share initial weights."""

    l2: Float[Tensor, "t m"]

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        hidden: int | None,
        l2: Float[Tensor, "t m"],
        seeds: list[int],
    ) -> None:
        super().__init__()
        self.probes = l2.shape[1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        widths = [width, classes] if hidden is None else [width, hidden, classes]
        for fan_in, fan_out in pairwise(widths):
            start = torch.stack([_glorot_uniform(fan_in, fan_out, generator) for generator in generators])
            # all strengths of a data set have the same inputs: their first weights are one matrix
            axes = "t (m o) i" if not self.weights else "(t m) o i"
            self.weights.append(nn.Parameter(repeat(start, f"t i o -> {axes}", m=self.probes).clone()))
            self.biases.append(nn.Parameter(torch.zeros_like(self.weights[-1][:, :, :1])))
        self.register_buffer("l2", l2)

    def forward(self, inputs: Float[Tensor, "t n d"]) -> tuple[Float[Tensor, "t m k n"], Float[Tensor, "t m"]]:
        """Return logits and penalties (l2 / 2 times squared weights; biases are free).

        Rows are the last axis: a softmax over few classes is fastest along contiguous rows.
        """
        first, *others = self.weights
        squares = reduce(first.square(), "t (m o) d -> t m", "sum", m=self.probes)
        outputs = torch.baddbmm(self.biases[0], first, rearrange(inputs, "t n d -> t d n"))
        outputs = rearrange(outputs, "t (m o) n -> (t m) o n", m=self.probes)
        for weight, bias in zip(others, list(self.biases)[1:], strict=True):
            squares = squares + reduce(weight.square(), "(t m) o i -> t m", "sum", m=self.probes)
            outputs = torch.baddbmm(bias, weight, outputs.relu())
        return rearrange(outputs, "(t m) k n -> t m k n", m=self.probes), 0.5 * self.l2 * squares

    @torch.no_grad()
    def logits(self, row: int, probe: int, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the logits of the ``probe``-th strength of data set ``row``."""
        outputs = inputs.T
        for depth, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            folds = "t (m o) i -> (t m) o i" if depth == 0 else "(t m) o i -> (t m) o i"
            weight, bias = (
                rearrange(each, folds, m=self.probes)[row * self.probes + probe] for each in (weights, biases)
            )
            outputs = weight @ (outputs.relu() if depth else outputs) + bias
        return outputs.T


class ProbeScores(Metric):
    """Mean loss and accuracy of every probe since the last reset; stacks are concatenated."""

    full_state_update = False
    loss: Tensor
    correct: Tensor
    rows: Tensor

    def __init__(self, stacks: list[torch.Size]) -> None:
        super().__init__()
        shape = sum(stack[0] for stack in stacks), stacks[0][1]
        for name in ("loss", "correct", "rows"):
            self.add_state(name, torch.zeros(shape), dist_reduce_fx="sum")

    def update(self, loss: Float[Tensor, "t m"], correct: Int[Tensor, "t m"], rows: Int[Tensor, "t m"]) -> None:
        """Add the sums over the rows of a batch."""
        self.loss += loss
        self.correct += correct
        self.rows += rows

    def compute(self) -> tuple[Float[Tensor, "t m"], Float[Tensor, "t m"]]:
        return self.loss / self.rows, self.correct / self.rows


class ProbeModule(lightning.LightningModule):
    """Stacks of probes trained by Adam on cross-entropy plus L2; the learning rate decays linearly."""

    def __init__(
        self,
        stacks: list[ProbeStack],
        *,
        learning_rate: float,
        final_rate: float,
        epsilon: float,
        steps: int,
    ) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self.steps, self.epsilon = steps, epsilon
        self.learning_rate, self.final_rate = learning_rate, final_rate
        shapes = [stack.l2.shape for stack in stacks]
        self.train_scores, self.validation_scores = ProbeScores(shapes), ProbeScores(shapes)
        self.history: dict[str, list[Tensor]] = {name: [] for name in Curves._fields}

    def training_step(self, batch: list[StackBatch], _: int) -> Tensor:
        return self._losses(batch, self.train_scores)

    def validation_step(self, batch: list[StackBatch], _: int) -> None:
        self._losses(batch, self.validation_scores)

    def on_train_epoch_end(self) -> None:  # Lightning runs the validation of an epoch before this
        for split, scores in (("train", self.train_scores), ("validation", self.validation_scores)):
            for name, value in zip(("loss", "accuracy"), scores.compute(), strict=True):
                values = value.reshape(scores.rows.shape)  # torchmetrics makes a scalar of a single number
                self.history[f"{split}_{name}"].append(values.cpu())
            scores.reset()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate, eps=self.epsilon, fused=True)
        schedule = torch.optim.lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=self.final_rate, total_iters=self.steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def stack(self, index: int) -> ProbeStack:
        stack = self.stacks[index]
        assert isinstance(stack, ProbeStack)
        return stack

    def curves(self) -> Curves:
        return Curves(**{name: torch.stack(values) for name, values in self.history.items()})

    def _losses(self, batch: list[StackBatch], scores: ProbeScores) -> Tensor:
        """Return the sum over probes of mean loss and penalty; update ``scores``."""
        losses, penalties, corrects, rows = [], [], [], []
        for stack, part in zip(self.stacks, batch, strict=True):
            logits, penalty = stack(part.inputs)
            penalties.append(penalty.sum())
            target = repeat(part.labels, "t n -> t m n", m=logits.shape[1])
            entropy = functional.cross_entropy(
                logits.flatten(0, 1), target.flatten(0, 1), ignore_index=IGNORED, reduction="none"
            )
            losses.append(entropy.view_as(target).sum(dim=2))
            valid = part.labels != IGNORED
            reached = logits.detach().gather(2, target.clamp(min=0)[:, :, None])[:, :, 0]
            right = (reached == logits.detach().amax(dim=2)) & valid[:, None]  # argmax over few classes is slow
            corrects.append(right.sum(dim=2))
            rows.append(valid.sum(dim=1, keepdim=True).expand_as(losses[-1]))
        loss, count = torch.cat(losses), torch.cat(rows)
        scores.update(loss.detach(), torch.cat(corrects), count)
        return (loss / count.clamp(min=1)).sum() + torch.stack(penalties).sum()


def _glorot_uniform(fan_in: int, fan_out: int, generator: torch.Generator) -> Float[Tensor, "fan_in fan_out"]:
    """Draw initial weights as Keras does for dense layers (Glorot & Bengio 2010, equation 16)."""
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    return (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * limit

"""LightningModule of many independent perceptrons, trained side by side.

Every perceptron has its own rows, split, seed and L2 strength. Their losses add up, so that the gradient of each is its
own, and Adam works element by element: each is trained as if alone. Data sets of one width share a batched matrix
product, which makes a grid of several hundred cost little more than its arithmetic.
"""

from typing import Any, NamedTuple

import pytorch_lightning as lightning
import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gqn_probe.analysis.probes.evaluation import Curves

IGNORED = -1  # the label of padding


class StackBatch(NamedTuple):
    """One batch for the perceptrons of one width."""

    inputs: Float[Tensor, "t n d"]
    labels: Int[Tensor, "t n"]


class PerceptronStack(nn.Module):
    """Perceptrons of ``t`` data sets of one width x ``m`` L2 strengths, which share initial weights."""

    l2: Float[Tensor, " m"]

    def __init__(self, *, width: int, hidden: int, classes: int, l2: Float[Tensor, " m"], seeds: list[int]) -> None:
        super().__init__()
        self.probes = len(l2)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        first, second = (
            torch.stack([_glorot_uniform(*shape, generator) for generator in generators])
            for shape in ((width, hidden), (hidden, classes))
        )
        # all strengths of a data set have the same inputs: their first weights are one matrix
        self.first = nn.Parameter(repeat(first, "t i o -> t (m o) i", m=self.probes).clone())
        self.second = nn.Parameter(repeat(second, "t i o -> (t m) o i", m=self.probes).clone())
        self.first_bias = nn.Parameter(torch.zeros_like(self.first[:, :, :1]))
        self.second_bias = nn.Parameter(torch.zeros_like(self.second[:, :, :1]))
        self.register_buffer("l2", l2)

    def forward(self, inputs: Float[Tensor, "t n d"]) -> tuple[Float[Tensor, "t m k n"], Float[Tensor, "t m"]]:
        """Return logits and penalties (l2 / 2 times squared weights; biases are free).

        Rows are the last axis: a softmax over few classes is fastest along contiguous rows.
        """
        outputs = torch.baddbmm(self.first_bias, self.first, rearrange(inputs, "t n d -> t d n"))
        outputs = rearrange(outputs, "t (m o) n -> (t m) o n", m=self.probes)
        outputs = torch.baddbmm(self.second_bias, self.second, outputs.relu())
        squares = reduce(self.first.square(), "t (m o) d -> t m", "sum", m=self.probes)
        squares = squares + reduce(self.second.square(), "(t m) o i -> t m", "sum", m=self.probes)
        return rearrange(outputs, "(t m) k n -> t m k n", m=self.probes), 0.5 * self.l2 * squares

    @torch.no_grad()
    def logits(self, row: int, probe: int, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the logits of the ``probe``-th strength of data set ``row``."""
        place = row * self.probes + probe
        weights, bias = (
            rearrange(each, "t (m o) i -> (t m) o i", m=self.probes)[place] for each in (self.first, self.first_bias)
        )
        outputs = (weights @ inputs.T + bias).relu()
        return (self.second[place] @ outputs + self.second_bias[place]).T


class PerceptronModule(lightning.LightningModule):
    """Stacks of perceptrons trained by Adam on cross-entropy plus L2; the learning rate decays linearly."""

    def __init__(
        self, stacks: list[PerceptronStack], *, learning_rate: float, final_rate: float, epsilon: float, steps: int
    ) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self.steps, self.epsilon = steps, epsilon
        self.learning_rate, self.final_rate = learning_rate, final_rate
        self.history: dict[str, list[Tensor]] = {name: [] for name in Curves._fields}
        self._reset_sums()

    def _reset_sums(self) -> None:
        self.sums = {split: torch.zeros(()) for split in ("train", "validation")}  # of loss, correct rows and rows

    def training_step(self, batch: list[StackBatch], _: int) -> Tensor:
        return self._losses(batch, "train")

    def validation_step(self, batch: list[StackBatch], _: int) -> None:
        self._losses(batch, "validation")

    def on_train_epoch_end(self) -> None:  # Lightning runs the validation of an epoch before this
        for split, (loss, correct, rows) in self.sums.items():
            self.history[f"{split}_loss"].append((loss / rows).cpu())
            self.history[f"{split}_accuracy"].append((correct / rows).cpu())
        self._reset_sums()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate, eps=self.epsilon, fused=True)
        schedule = torch.optim.lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=self.final_rate, total_iters=self.steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def curves(self) -> Curves:
        return Curves(**{name: torch.stack(values) for name, values in self.history.items()})

    def _losses(self, batch: list[StackBatch], split: str) -> Tensor:
        """Return the sum over perceptrons of mean loss and penalty; add to the sums of ``split``."""
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
        self.sums[split] = self.sums[split] + torch.stack([loss.detach(), torch.cat(corrects), count])
        return (loss / count.clamp(min=1)).sum() + torch.stack(penalties).sum()


def _glorot_uniform(fan_in: int, fan_out: int, generator: torch.Generator) -> Float[Tensor, "fan_in fan_out"]:
    """Draw initial weights as Keras does for dense layers (Glorot & Bengio 2010, equation 16)."""
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    return (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * limit

"""Softmax classifiers, as many as wanted, trained side by side as one LightningModule.

Every probe has its own rows, split, seed and L2 strength and shares nothing with its neighbours: their losses add up,
so the gradient of each is its own, and Adam works element by element. Problems of one width are one batched matrix
product, which is what makes a grid of several hundred probes cost little more than its arithmetic.
``hidden=None`` is multinomial logistic regression; ``hidden=128`` is the original study's perceptron.
"""

from itertools import pairwise
from typing import NamedTuple

import pytorch_lightning as lightning
import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_accuracy

IGNORED = -1  # the label of padding


class Problem(NamedTuple):
    """What one probe has to learn; rows are named by their index into ``inputs``."""

    inputs: Float[Tensor, "n d"]  # may be memory-mapped: only the rows of a batch are read at a time
    labels: Int[Tensor, " n"]  # 0..classes-1
    train: Int[Tensor, " a"]
    validation: Int[Tensor, " e"]
    seed: int  # of the initial weights and of the order of rows


class StackBatch(NamedTuple):
    """The rows of one step for the probes of one width."""

    inputs: Float[Tensor, "t n d"]
    labels: Int[Tensor, "t n"]


class Curves(NamedTuple):
    """Means over the rows of an epoch; the training columns while the weights still move, as Keras reports them."""

    train_loss: Float[Tensor, "epoch t m"]  # nats
    train_accuracy: Float[Tensor, "epoch t m"]
    validation_loss: Float[Tensor, "epoch t m"]
    validation_accuracy: Float[Tensor, "epoch t m"]


class ProbeStack(nn.Module):
    """``t`` problems of one width, each with ``m`` probes that start alike and differ in their L2 strength.

    With a ``basis`` the first layer's weights are ``basis @ parameter``: the same model and penalty in coordinates
    that Adam, which scales each coordinate by itself, descends well.
    """

    mean: Float[Tensor, "t 1 d"]
    scale: Float[Tensor, "t 1 d"]
    basis: Float[Tensor, "t d e"] | None
    l2: Float[Tensor, "t m"]

    def __init__(
        self,
        *,
        classes: int,
        hidden: int | None,
        l2: Float[Tensor, "t m"],
        mean: Float[Tensor, "t d"],
        scale: Float[Tensor, "t d"],
        basis: Float[Tensor, "t d e"] | None,
        seeds: list[int],
    ) -> None:
        super().__init__()
        self.probes = l2.shape[1]
        widths = [mean.shape[1], classes] if hidden is None else [mean.shape[1], hidden, classes]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for fan_in, fan_out in pairwise(widths):
            start = torch.stack([_glorot_uniform(fan_in, fan_out, generator) for generator in generators])
            self.weights.append(nn.Parameter(repeat(start, "t i o -> t m i o", m=self.probes).clone()))
            self.biases.append(nn.Parameter(torch.zeros(len(seeds), self.probes, 1, fan_out)))
        self.register_buffer("mean", rearrange(mean, "t d -> t 1 d"))
        self.register_buffer("scale", rearrange(scale, "t d -> t 1 d"))
        self.register_buffer("basis", basis)
        self.register_buffer("l2", l2)

    def layers(self) -> list[Float[Tensor, "t m _ _"]]:
        """The weights that standardised rows meet, layer by layer."""
        first, *others = self.weights
        if self.basis is not None:
            product = torch.bmm(self.basis, rearrange(first, "t m d o -> t d (m o)"))
            first = rearrange(product, "t d (m o) -> t m d o", m=self.probes)
        return [first, *others]

    def forward(self, inputs: Float[Tensor, "t n d"]) -> tuple[Float[Tensor, "t m n k"], Float[Tensor, "t m"]]:
        """Logits, and the penalty: half the squared length of the weights times its strength; biases are free."""
        first, *others = layers = self.layers()
        squares = torch.stack([layer.square().sum(dim=(2, 3)) for layer in layers]).sum(dim=0)
        # all L2 strengths of a problem read the same rows: one product with their weights side by side
        side_by_side = rearrange(first, "t m d o -> t d (m o)")
        product = torch.bmm((inputs - self.mean) / self.scale, side_by_side)
        outputs = rearrange(product, "t n (m o) -> t m n o", m=self.probes) + self.biases[0]
        for weight, bias in zip(others, list(self.biases)[1:], strict=True):
            outputs = outputs.relu() @ weight + bias
        return outputs, 0.5 * self.l2 * squares


class ProbeModule(lightning.LightningModule):
    """Trains stacks of probes with Adam on cross-entropy plus L2, the rate falling linearly to ``final_rate``."""

    def __init__(
        self,
        stacks: list[ProbeStack],
        *,
        classes: int,
        learning_rate: float,
        final_rate: float,
        epsilon: float,
        steps: int,
    ) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self.classes, self.steps, self.epsilon = classes, steps, epsilon
        self.learning_rate, self.final_rate = learning_rate, final_rate
        self.history: dict[str, list[Tensor]] = {name: [] for name in Curves._fields}
        self._start_sums()

    def training_step(self, batch: list[StackBatch], _: int) -> Tensor:
        return self._losses(batch, "train")

    def validation_step(self, batch: list[StackBatch], _: int) -> None:
        self._losses(batch, "validation")

    def on_train_epoch_end(self) -> None:  # Lightning runs the validation of an epoch before this
        for split, (loss, correct, rows) in self.sums.items():
            self.history[f"{split}_loss"].append((loss / rows).cpu())
            self.history[f"{split}_accuracy"].append((correct / rows).cpu())
        self._start_sums()

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate, eps=self.epsilon)
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

    def _start_sums(self) -> None:
        zero = torch.zeros(())
        self.sums = {"train": (zero, zero, zero), "validation": (zero, zero, zero)}

    def _losses(self, batch: list[StackBatch], split: str) -> Tensor:
        """The sum over probes of mean loss and penalty in this batch; adds the losses up for the curves."""
        losses, penalties, corrects, rows = [], [], [], []
        for stack, part in zip(self.stacks, batch, strict=True):
            logits, penalty = stack(part.inputs)
            penalties.append(penalty.sum())
            target = repeat(part.labels, "t n -> t m n", m=logits.shape[1])
            entropy = functional.cross_entropy(
                rearrange(logits, "t m n k -> (t m n) k"),
                rearrange(target, "t m n -> (t m n)"),
                ignore_index=IGNORED,
                reduction="none",
            )
            losses.append(rearrange(entropy, "(t m n) -> t m n", t=len(logits), m=logits.shape[1]).sum(dim=2))
            valid = (target != IGNORED).sum(dim=2)
            rows.append(valid)
            corrects.append(valid * _accuracy(logits.detach(), target, self.classes))
        loss, correct, count = torch.cat(losses), torch.cat(corrects), torch.cat(rows)
        sums = zip(self.sums[split], (loss.detach(), correct, count), strict=True)
        self.sums[split] = tuple(old.to(new.device) + new for old, new in sums)  # type: ignore[assignment]
        return (loss / count.clamp(min=1)).sum() + torch.stack(penalties).sum()


def _accuracy(logits: Float[Tensor, "t m n k"], target: Int[Tensor, "t m n"], classes: int) -> Float[Tensor, "t m"]:
    """The accuracy of each probe, 0 where a batch is all padding."""
    scores = multiclass_accuracy(
        rearrange(logits.argmax(dim=-1), "t m n -> (t m) n"),
        rearrange(target, "t m n -> (t m) n"),
        num_classes=classes,
        average="micro",
        multidim_average="samplewise",
        ignore_index=IGNORED,
    )
    return rearrange(scores.nan_to_num(0.0), "(t m) -> t m", t=len(logits))


def _glorot_uniform(fan_in: int, fan_out: int, generator: torch.Generator) -> Float[Tensor, "i o"]:
    """Keras' default for a dense layer (Glorot & Bengio 2010, equation 16)."""
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    return (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * limit

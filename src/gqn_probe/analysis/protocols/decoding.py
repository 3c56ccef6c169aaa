"""Decoding of object and view properties from r and from baselines at each count.

Linear and Gaussian kernel ridge regression (``ridge.py``): one eigendecomposition of a Gram matrix serves all targets
of a count. Strength and kernel width are selected by leave-one-out cross-validation on training objects; each seed
tests another fifth of the objects.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.probes.dataset import CaseName
from gqn_probe.analysis.probes.ridge import (
    Block,
    KernelRidge,
    Predicted,
    PrimalRidge,
    dual_bytes,
    gaussian_kernel,
    linear_kernel,
)
from gqn_probe.analysis.protocols.encoded_targets import (
    EncodedTarget,
    applicable_objects,
    column_blocks,
    has_variance,
    held_out_groups,
    score_predictions,
    target_columns,
)
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.splits import FOLDS, folds_of, split_groups
from gqn_probe.analysis.questions.targets import Classes
from gqn_probe.analysis.statistics.headline import TargetChange, images_answer, training_answer
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    linear_combination,
    proportion_difference,
    proportion_interval,
    r2_interval,
)
from gqn_probe.progress import progress
from gqn_probe.results import Answer, Interval, Result

LINEAR, NONLINEAR = "ridge", "kernel_ridge"
BASELINES = ("pixels", "cameras", "untrained")  # controls that r is compared with, paired


class Source(NamedTuple):
    """Input and control that rows come from."""

    input: str
    control: str


class Score(NamedTuple):
    """Score of a target at a count, as sums over each object's rows."""

    metric: str  # "accuracy" or "r2"
    sums: ClusterSums  # correct rows of rows; of r2 squared errors of squared deviations from the mean
    chance: float | None = None  # share of the most frequent class

    @property
    def interval(self) -> Interval:
        return proportion_interval(self.sums) if self.metric == "accuracy" else r2_interval(self.sums)

    def above(self, other: "Score") -> Interval:
        """Return the difference to another score on the same objects, with its paired interval."""
        if self.metric == "accuracy":
            return proportion_difference(self.sums, other.sums)
        return linear_combination((self.sums, other.sums), (-1, 1))


Scores = dict[tuple[str, Source, str, int], Score]  # by target, source, probe and count


class TargetDecoder:
    """Decodes all targets from every input and baseline at each count."""

    def __init__(self, probe_inputs: ProbeInputs, settings: StudySettings) -> None:
        self.inputs, self.settings, self.counts = probe_inputs, settings, probe_inputs.counts
        self.objects = probe_inputs.objects
        self.scores: Scores = {}

    @cached_property
    def sources(self) -> list[Source]:
        """The inputs, the same of untrained encoders, and the other baselines."""
        chosen = [name for name in BASELINES if name in self.settings.chosen]
        found = [Source(given, "none") for given in self.settings.inputs]
        if "untrained" in chosen:
            found += [
                Source(given, "untrained") for given in self.settings.inputs if self.inputs.is_view_readout(given)
            ]
        return found + [Source(name, name) for name in chosen if name != "untrained"]

    def rows(self, notes: list[str]) -> Iterator[Result]:
        """Decode every target but the count and yield results; a target that the stimuli lack becomes a note."""
        truths = self._truths(notes)
        if not any(truths):
            return
        if self.settings.widths and self._streams:
            gigabytes = dual_bytes(len(self.objects)) / 1e9
            notes.append(
                f"Targets were decoded linearly alone: Gaussian kernels of {len(self.objects)} objects take "
                f"{gigabytes:.0f} GB, and probe.memory_gb={self.settings.memory_gb}."
            )
        with progress("decoding", len(self.sources) * len(self.counts), "counts") as advance:
            for source in self.sources:
                for column, of_count in enumerate(truths):
                    kernels = KernelCache(self.inputs, source, column, streams=self._streams)
                    for probe in self._probes(source):
                        self._decode(source, probe, column, of_count, kernels)
                    if column == len(self.counts) - 1 and source.control in ("none", "untrained", "pixels"):
                        self._learning_curve(source, of_count, kernels)
                    advance(1)
        yield from self._results()

    @property
    def _streams(self) -> bool:
        """True if the Gram matrix exceeds memory."""
        return not self.settings.fits_memory(dual_bytes(len(self.objects)))

    def _probes(self, source: Source) -> tuple[str, ...]:
        nonlinear = self.settings.widths and not self._streams and source.control in ("none", "pixels")
        return (LINEAR, NONLINEAR) if nonlinear else (LINEAR,)

    def _truths(self, notes: list[str]) -> list[list[EncodedTarget]]:
        """Return the targets of each count, without those that are constant."""
        scenes, known, left_out = self.inputs.study_inputs.scenes, self.settings.known_targets, {}
        truths: list[list[EncodedTarget]] = []
        for count in self.counts:
            views = nested(len(scenes), scenes.views, count, self.settings.seed)
            truths.append([])
            for name in (name for name in self.settings.targets if name != "count"):
                try:
                    found = known[name](scenes, views)
                except ValueError as error:
                    left_out.setdefault(str(error), {})[name] = None
                    continue
                truth = EncodedTarget(name, found, target_columns(found))
                if isinstance(found, Classes) or has_variance(found):
                    truths[-1].append(truth)  # coverage of one view is constant
        notes += [f"Targets left out: {', '.join(names)} ({why})." for why, names in left_out.items()]
        return truths

    def _decode(
        self,
        source: Source,
        probe: str,
        column: int,
        truths: Sequence[EncodedTarget],
        kernels: "KernelCache",
        train_objects: int | None = None,
    ) -> None:
        """Decode the targets of one count on the objects that each seed holds out."""
        together = [t for t in truths if held_out_groups(t) is None]
        apart = [[t] for t in truths if held_out_groups(t) is not None]
        for group in filter(None, [together, *apart]):
            asked, units = applicable_objects(group[0], self.objects)
            values, blocks = torch.cat([t.columns for t in group], dim=1), column_blocks(group)
            times, encoders = torch.zeros(len(self.objects)), torch.zeros(len(self.objects), dtype=torch.int64)
            tables = [torch.zeros(2, len(self.objects), dtype=torch.float64) for _ in group]
            for seed in self.settings.probe_seeds(folds_of(units[asked])):
                split = split_groups(units[asked], seed)
                train, test = asked[torch.cat([split.train, split.validation])], asked[split.test]
                if train_objects is not None and len(train) < train_objects:
                    break  # chirality is defined for some objects alone
                train = train[:train_objects]
                encoder = kernels.encoder(seed)
                predicted = kernels.predict(probe, train, values, blocks, encoder)
                for table, truth, block in zip(tables, group, blocks, strict=True):
                    table[:, test] += score_predictions(truth, predicted, block, train, test)
                times[test] += 1
                encoders[test] = -1 if encoder is None else encoder
            if not times.any():
                continue
            own = encoders if source.control == "untrained" else None
            count = self.counts[column] if train_objects is None else -train_objects
            for table, truth in zip(tables, group, strict=True):
                self.scores[truth.name, source, probe, count] = _score(truth, table, times, own)

    def _learning_curve(self, source: Source, truths: Sequence[EncodedTarget], kernels: "KernelCache") -> None:
        """Decode at the largest count from fewer training objects; scores are stored under minus their number.

        The last point, all training objects, has been decoded already.
        """
        most, last = round((1 - 1 / FOLDS) * len(self.objects)), self.counts[-1]
        for size in (size for size in self.settings.train_objects if size < most):
            self._decode(source, LINEAR, len(self.counts) - 1, truths, kernels, size)
        for truth in (truth for truth in truths if held_out_groups(truth) is None):
            self.scores[truth.name, source, LINEAR, -most] = self.scores[truth.name, source, LINEAR, last]

    def _results(self) -> Iterator[Result]:
        for (target, source, probe, key), score in self.scores.items():
            name, n = CaseName(target, source.input, source.control, probe), int(score.sums.nonempty().sum())
            count, size = (key, None) if key > 0 else (self.counts[-1], -key)
            found = {score.metric: score.interval}
            if source.control == "none":
                for baseline in BASELINES:
                    if (other := self.baseline(target, source, baseline, key, probe)) is not None:
                        found[f"{score.metric}_above_{baseline}"] = score.above(other)
            if size is None and (rise := self.rise(target, source, probe, count)) is not None:
                found[f"{score.metric}_rise"] = rise
            for metric, value in found.items():
                yield Result.pooled(name, metric, value, n=n, count=count)._replace(train_objects=size)
            if score.chance is not None and size is None:
                yield Result(*name, None, "test", count, "chance", score.chance, n=n)

    def baseline(self, target: str, source: Source, control: str, count: int, probe: str = LINEAR) -> Score | None:
        """Return a baseline's score of the same target by the same probe, else by the linear one."""
        other = Source(source.input if control == "untrained" else control, control)
        own = self.scores.get((target, other, probe, count))
        return own or self.scores.get((target, other, LINEAR, count))

    def rise(self, target: str, source: Source, probe: str = LINEAR, upto: int | None = None) -> Interval | None:
        """Return the paired change from the smallest count with a score to ``upto`` (default: the largest)."""
        own = [count for count in self.counts if (target, source, probe, count) in self.scores]
        last = own[-1] if upto is None and own else upto
        if last is None or own[0] == last:
            return None
        return self.scores[target, source, probe, last].above(self.scores[target, source, probe, own[0]])

    def answers(self) -> Iterator[Answer]:
        """Yield the answers on further images and on training, for the first input."""
        given, last = self.settings.inputs[0], self.counts[-1]
        source = Source(given, "none")
        rises, gains = [], []
        for target in dict.fromkeys(key[0] for key in self.scores):
            own = [c for c in self.counts if (target, source, LINEAR, c) in self.scores]
            if not own:
                continue
            top = self.scores[target, source, LINEAR, own[-1]]
            pixels = self.baseline(target, source, "pixels", own[-1])
            if (rise := self.rise(target, source)) is not None:
                first = self.scores[target, source, LINEAR, own[0]].interval.value
                above = None if pixels is None else top.above(pixels)
                rises.append(TargetChange(target, top.metric, first, top.interval.value, rise, above))
            untrained = self.baseline(target, source, "untrained", own[-1])
            if untrained is not None:
                gain = top.above(untrained)
                gains.append(TargetChange(target, top.metric, untrained.interval.value, top.interval.value, gain))
        yield images_answer(given, self.counts, rises)
        yield training_answer(given, last, gains)


class KernelCache:
    """Gram matrices of a source at one count, one an encoder; the rows themselves if they are streamed."""

    def __init__(self, inputs: ProbeInputs, source: Source, column: int, *, streams: bool = False) -> None:
        self.inputs, self.source, self.column, self.streams = inputs, source, column, streams
        self.linear: dict[int | None, Tensor] = {}
        self.gaussian: dict[int | None, list[Tensor]] = {}

    def encoder(self, seed: int) -> int | None:
        """Return the untrained encoder of a seed; None for the trained network."""
        return seed % self.inputs.settings.untrained if self.source.control == "untrained" else None

    def predict(
        self,
        probe: str,
        train: Int[Tensor, " a"],
        values: Float[Tensor, "n j"],
        blocks: Sequence[Block],
        encoder: int | None,
    ) -> Predicted:
        """Predict all objects from the training objects' values, with the best kernel for each target."""
        settings = self.inputs.settings
        if encoder not in self.linear:
            rows = self.inputs.unreduced_rows(self.source.input, self.column, encoder)
            self.linear[encoder] = rows if self.streams else linear_kernel(rows)
        linear = self.linear[encoder]
        if self.streams:
            return PrimalRidge(linear, train, settings.strengths).predict(values, blocks)
        if probe != LINEAR and encoder not in self.gaussian:
            self.gaussian[encoder] = [gaussian_kernel(linear, width) for width in settings.widths]
        kernels = [linear] if probe == LINEAR else self.gaussian[encoder]
        fits = [KernelRidge(kernel, train, settings.strengths).predict(values, blocks) for kernel in kernels]
        best = torch.stack([fit.errors for fit in fits]).argmin(dim=0).tolist()
        spans = [slice(block.start, block.stop) for block in blocks]
        return Predicted(
            torch.cat([fits[own].values[:, span] for own, span in zip(best, spans, strict=True)], dim=1),
            torch.cat([fits[own].left_out[:, span] for own, span in zip(best, spans, strict=True)], dim=1),
            torch.stack([fits[own].errors[i] for i, own in enumerate(best)]),
        )


def _score(
    truth: EncodedTarget, table: Float[Tensor, "2 s"], times: Float[Tensor, " s"], encoders: Tensor | None
) -> Score:
    sums = ClusterSums(table[0], table[1], encoders)
    if isinstance(truth.found, Classes):
        labels = truth.found.labels[times > 0]
        return Score("accuracy", sums, float(labels.bincount().max()) / len(labels))
    return Score("r2", sums)

"""Decoding of object and view properties from r and from baselines at each count.

Linear and Gaussian kernel ridge regression (``ridge.py``): one eigendecomposition of a Gram matrix serves all targets
of a count. Strength and kernel width are selected by leave-one-out cross-validation on training objects; each seed
tests another fifth of the objects.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.probes.dataset import CaseName
from gqn_probe.analysis.probes.ridge import (
    KernelRidge,
    Predicted,
    PrimalRidge,
    dual_bytes,
    gaussian_kernel,
    linear_kernel,
)
from gqn_probe.analysis.protocols.decoding_scores import (
    BASELINES,
    LINEAR,
    NONLINEAR,
    Case,
    Score,
    Scores,
    Source,
    score_rows,
)
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.splits import FOLDS, drawn, folds_of, split_groups
from gqn_probe.analysis.questions.targets import Classes, Values
from gqn_probe.analysis.statistics.headline import TargetChange, images_answer, training_answer
from gqn_probe.analysis.statistics.intervals import ClusterSums
from gqn_probe.progress import progress
from gqn_probe.results import Answer, Result

Truths = dict[str, Classes | Values]  # targets at one count, by name


class TargetDecoder:
    """Decodes all targets from every input and baseline at each count."""

    def __init__(self, probe_inputs: ProbeInputs, settings: StudySettings) -> None:
        self.inputs, self.settings, self.counts = probe_inputs, settings, probe_inputs.counts
        self.objects = probe_inputs.objects
        self.scores = Scores(self.counts)

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

    def _truths(self, notes: list[str]) -> list[Truths]:
        """Return the targets of each count, without those that are constant."""
        scenes, known, left_out = self.inputs.study_inputs.scenes, self.settings.known_targets, {}
        truths: list[Truths] = [{} for _ in self.counts]
        for count, of_count in zip(self.counts, truths, strict=True):
            views = nested(len(scenes), scenes.views, count, self.settings.seed)
            for name in (name for name in self.settings.targets if name != "count"):
                try:
                    found = known[name](scenes, views)
                except ValueError as error:
                    left_out.setdefault(str(error), {})[name] = None
                    continue
                if isinstance(found, Classes) or found.varies:  # coverage of one view is constant
                    of_count[name] = found
        notes += [f"Targets left out: {', '.join(names)} ({why})." for why, names in left_out.items()]
        return truths

    def _decode(
        self, source: Source, probe: str, column: int, truths: Truths, kernels: "KernelCache", size: int | None = None
    ) -> None:
        """Decode the targets of one count on the objects that each seed holds out.

        Args:
            size: number of training objects, drawn at random; None is all.
        """
        together = {name: found for name, found in truths.items() if found.groups is None}
        apart = [{name: found} for name, found in truths.items() if found.groups is not None]
        for group in filter(None, [together, *apart]):
            targets = list(group.values())
            asked, units = _applicable_objects(targets[0], self.objects)
            tested, encoders = torch.zeros(2, len(self.objects), dtype=torch.int64)
            tables = torch.zeros(len(targets), 2, len(self.objects), dtype=torch.float64)
            for seed in self.settings.probe_seeds(folds_of(units[asked])):
                split = split_groups(units[asked], seed)
                train, test = asked[torch.cat([split.train, split.validation])], asked[split.test]
                if size is not None:
                    if len(train) < size:
                        break  # chirality is defined for some objects alone
                    train = drawn(train, size, seed)
                encoder = self.inputs.encoder(self.settings.control[source.control], seed)
                predicted = kernels.predict(probe, train, targets, encoder)
                for table, target, found in zip(tables, targets, predicted, strict=True):
                    table[:, test] += score_rows(target, found, train, test)
                tested[test], encoders[test] = 1, encoder or 0
            if tested.sum() < 2:  # one object alone has no interval
                continue
            for table, (name, target) in zip(tables, group.items(), strict=True):
                sums = ClusterSums(table[0], table[1], encoders if source.control == "untrained" else None)
                case = Case(name, source, probe, self.counts[column], size)
                if isinstance(target, Classes):
                    labels = target.labels[tested > 0]
                    chance = float(labels.bincount().max()) / len(labels)
                    self.scores[case] = Score("accuracy", sums, chance, target.groups)
                else:
                    self.scores[case] = Score("r2", sums)

    def _learning_curve(self, source: Source, truths: Truths, kernels: "KernelCache") -> None:
        """Decode at the largest count from fewer training objects; all of them have been decoded already."""
        most, last = round((1 - 1 / FOLDS) * len(self.objects)), self.counts[-1]
        for size in (size for size in self.settings.train_objects if size < most):
            self._decode(source, LINEAR, len(self.counts) - 1, truths, kernels, size)
        for name in (name for name, found in truths.items() if found.groups is None):
            whole = Case(name, source, LINEAR, last)
            if whole in self.scores:
                self.scores[whole._replace(train_objects=most)] = self.scores[whole]

    def _results(self) -> Iterator[Result]:
        for case, score in self.scores.items():
            target, source, probe, count, train_objects = case
            name, n = CaseName(target, source.input, source.control, probe), int(score.sums.nonempty().sum())
            found = {score.metric: score.interval}
            if source.control == "none":
                for baseline in BASELINES:
                    if (other := self.scores.baseline(case, baseline)) is not None:
                        found[f"{score.metric}_above_{baseline}"] = score.above(other)
            if train_objects is None and (rise := self.scores.rise(case)) is not None:
                found[f"{score.metric}_rise"] = rise
            for metric, value in found.items():
                row = Result.pooled(name, metric, value, n=n, count=count)
                yield row._replace(train_objects=train_objects)
            if score.chance is not None and train_objects is None:
                yield Result(*name, None, "test", count, "chance", score.chance, n=n)

    def answers(self) -> Iterator[Answer]:
        """Yield the answers on further images and on training, for the first input."""
        given, last = self.settings.inputs[0], self.counts[-1]
        rises, gains = [], []
        for target in dict.fromkeys(case.target for case in self.scores):
            top = Case(target, Source(given, "none"), LINEAR, last)
            if not (counts := self.scores.counts(top)):
                continue
            top = top._replace(count=counts[-1])
            score = self.scores[top]
            if (rise := self.scores.rise(top)) is not None:
                first = self.scores[top._replace(count=counts[0])].interval.value
                pixels = self.scores.baseline(top, "pixels")
                above = None if pixels is None else score.above(pixels)
                rises.append(TargetChange(target, score.metric, first, score.interval.value, rise, above))
            if (untrained := self.scores.baseline(top, "untrained")) is not None:
                gain = score.above(untrained)
                gains.append(TargetChange(target, score.metric, untrained.interval.value, score.interval.value, gain))
        yield images_answer(given, self.counts, rises)
        yield training_answer(given, last, gains)


def _applicable_objects(
    target: Classes | Values, objects: Int[Tensor, " s"]
) -> tuple[Int[Tensor, " a"], Int[Tensor, " s"]]:
    """Return the objects for which the target is defined, and the group of every object."""
    if isinstance(target, Classes) and target.groups is not None:
        return (target.labels >= 0).nonzero()[:, 0], target.groups
    return objects, objects


class KernelCache:
    """Gram matrices of a source at one count, one an encoder; the rows themselves if they are streamed."""

    def __init__(self, inputs: ProbeInputs, source: Source, column: int, *, streams: bool = False) -> None:
        self.inputs, self.source, self.column, self.streams = inputs, source, column, streams
        self.linear: dict[int | None, Tensor] = {}
        self.gaussian: dict[int | None, list[Tensor]] = {}

    def predict(
        self, probe: str, train: Int[Tensor, " a"], targets: Sequence[Classes | Values], encoder: int | None
    ) -> list[Predicted]:
        """Predict the targets of all objects from those of training objects, each with the best kernel for it."""
        settings = self.inputs.settings
        if encoder not in self.linear:
            rows = self.inputs.unreduced_rows(self.source.input, self.column, encoder)
            self.linear[encoder] = rows if self.streams else linear_kernel(rows)
        linear = self.linear[encoder]
        if self.streams:
            return PrimalRidge(linear, train, settings.strengths).predict(targets)
        if probe != LINEAR and encoder not in self.gaussian:
            self.gaussian[encoder] = [gaussian_kernel(linear, width) for width in settings.widths]
        kernels = [linear] if probe == LINEAR else self.gaussian[encoder]
        fits = [KernelRidge(kernel, train, settings.strengths).predict(targets) for kernel in kernels]
        return [min(of_target, key=lambda fit: fit.error) for of_target in zip(*fits, strict=True)]

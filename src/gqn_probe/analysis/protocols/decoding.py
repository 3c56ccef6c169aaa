"""Decoding of object and view properties from r and from baselines at each count.

Linear and Gaussian kernel ridge regression (``ridge.py``): one eigendecomposition of a Gram matrix serves all targets
of a count. Strength and kernel width are selected by leave-one-out cross-validation on training objects; each seed
tests another fifth of the objects.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

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
from gqn_probe.analysis.protocols.decoding_scores import BASELINES, LINEAR, NONLINEAR, Case, Score, Scores, Source
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
from gqn_probe.progress import progress
from gqn_probe.results import Answer, Result


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
            if times.count_nonzero() < 2:  # one object alone has no interval
                continue
            own = encoders if source.control == "untrained" else None
            for table, truth in zip(tables, group, strict=True):
                case = Case(truth.name, source, probe, self.counts[column], train_objects)
                self.scores[case] = Score.of(truth.found, table, times > 0, own)

    def _learning_curve(self, source: Source, truths: Sequence[EncodedTarget], kernels: "KernelCache") -> None:
        """Decode at the largest count from fewer training objects; all of them have been decoded already."""
        most, last = round((1 - 1 / FOLDS) * len(self.objects)), self.counts[-1]
        for size in (size for size in self.settings.train_objects if size < most):
            self._decode(source, LINEAR, len(self.counts) - 1, truths, kernels, size)
        for truth in (truth for truth in truths if held_out_groups(truth) is None):
            whole = Case(truth.name, source, LINEAR, last)
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

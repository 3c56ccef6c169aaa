"""What r knows beside its count, count by count: what each further image adds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.predictions import Predictions
from gqn_probe.analysis.probes.ridge import Ridge, fit_ridge
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.splits import folds_of, split_groups
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Values
from gqn_probe.analysis.statistics.bootstrap import Interval, ObjectBootstrap
from gqn_probe.analysis.statistics.scores import share_right
from gqn_probe.results import Result

ALIKE = 1e-5  # deviation below which values differ by rounding alone


@dataclass(frozen=True)
class TargetDecoder:
    """Reads targets from each input at each count, on objects that were not trained on.

    Classes are read by the headline's probe: ``accuracy``, and the ``chance`` of naming the commonest. Values are read
    by ridge regression: ``r2``, the share of their variance that is told, 0 for their mean and below 0 for worse.
    """

    probe_inputs: ProbeInputs
    settings: StudySettings
    bootstrap: ObjectBootstrap

    @property
    def _ridge(self) -> Ridge | None:
        return next((probe for probe in self.settings.kept.values() if isinstance(probe, Ridge)), None)

    def rows(self, notes: list[str]) -> Iterator[Result]:
        """Every target but the count; one that the stimuli cannot give, or no probe can read, becomes a note."""
        scenes = self.probe_inputs.study_inputs.scenes
        left_out: dict[str, list[str]] = {}
        chosen = [nested(len(scenes), scenes.views, count, self.settings.seed) for count in self.probe_inputs.counts]
        for target in (name for name in self.settings.targets if name != "count"):
            try:
                truths = [TARGETS[target](scenes, views) for views in chosen]
                if isinstance(truths[0], Values) and self._ridge is None:
                    raise ValueError("values are read by ridge, which is not among probe.probes")
            except ValueError as error:
                left_out.setdefault(str(error), []).append(target)
                continue
            for given in self.settings.inputs:
                inputs = [each.contiguous() for each in self.probe_inputs.coherent(given).unbind(dim=1)]
                if isinstance(truths[0], Classes):
                    name = CaseName(target, given, "none", self.settings.headline)
                    yield from self._classes(name, inputs, [t for t in truths if isinstance(t, Classes)])
                else:
                    name = CaseName(target, given, "none", "ridge")
                    yield from self._values(name, inputs, [t for t in truths if isinstance(t, Values)])
        notes += [f"What r knows of {', '.join(names)} was left out: {why}." for why, names in left_out.items()]

    def _classes(
        self, name: CaseName, inputs: Sequence[Float[Tensor, "s f"]], truths: Sequence[Classes]
    ) -> Iterator[Result]:
        """All counts and seeds in one fit."""
        target, given, control, probe = name
        objects, kinds = torch.arange(len(inputs[0])), truths[0].kinds
        seeds = self.settings.probe_seeds(folds_of(objects))
        datasets = [
            ProbeDataset(target, given, control, seed, rows, truth.labels, objects, split_groups(objects, seed), rows)
            for rows, truth in zip(inputs, truths, strict=True)
            for seed in seeds
        ]
        predictions = self.settings.kept[probe].evaluate(
            datasets, torch.arange(kinds).float(), self.probe_inputs.study_inputs.device
        )
        for i, count in enumerate(self.probe_inputs.counts):
            mine = predictions[i * len(seeds) : (i + 1) * len(seeds)]
            together = Predictions.together([result.test for result in mine])
            n = len(together.labels)
            yield Result.pooled(name, "accuracy", share_right(together, self.bootstrap), n=n, count=count)
            commonest = float(together.labels.bincount().max()) / n
            yield Result(*name, None, "test", count, "chance", commonest, n=n)

    def _values(
        self, name: CaseName, inputs: Sequence[Float[Tensor, "s f"]], truths: Sequence[Values]
    ) -> Iterator[Result]:
        assert self._ridge is not None
        objects = torch.arange(len(inputs[0]))
        for count, rows, truth in zip(self.probe_inputs.counts, inputs, truths, strict=True):
            if truth.values.std(dim=0).max() < ALIKE:
                continue  # one view covers nothing: there is no variance to tell
            missed, spread = torch.zeros(len(objects), 1), torch.zeros(len(objects), 1)
            for seed in self.settings.probe_seeds(folds_of(objects)):
                train, validation, test = split_groups(objects, seed)
                fit = fit_ridge(rows, truth.values, train, validation, self._ridge.l2)
                wanted = truth.values[test]
                missed[test] += (fit.predict(rows[test]) - wanted).square().sum(dim=1, keepdim=True)
                spread[test] += (wanted - truth.values.mean(dim=0)).square().sum(dim=1, keepdim=True)
            # the mean of errors over the mean of spreads, as the bootstrap takes means of rows
            ratio = self.bootstrap.intervals(missed, spread)[0]
            told = Interval(1 - ratio.value, 1 - ratio.high, 1 - ratio.low)
            yield Result.pooled(name, "r2", told, n=len(objects), count=count)

"""Decoding of the count from r: all inputs, controls, probes and seeds, and the study's three answers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import is_sum
from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.evaluation import ProbeResult, group_by_case
from gqn_probe.analysis.probes.linear import Linear, code_lengths
from gqn_probe.analysis.probes.perceptron import Perceptron
from gqn_probe.analysis.probes.predictions import Predictions
from gqn_probe.analysis.probes.ridge import Ridge, tally, tally_direction
from gqn_probe.analysis.protocols.decoding import LINEAR, Source, TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import HEADLINE, StudySettings
from gqn_probe.analysis.questions.splits import Split, split_groups
from gqn_probe.analysis.statistics.geometry import MAX_OBJECTS, similarity_rows
from gqn_probe.analysis.statistics.headline import CountEvidence, count_answer
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    cluster_sums,
    mean_interval,
    positive_mean_interval,
    proportion_interval,
)
from gqn_probe.analysis.statistics.permutations import WithinObjectPermutations
from gqn_probe.analysis.statistics.scores import (
    confusion_rows,
    correct_by_unit,
    curve_rows,
    paired_difference,
    pooled_rows,
    seed_rows,
)
from gqn_probe.analysis.statistics.setting_differences import object_rows
from gqn_probe.progress import progress
from gqn_probe.results import Interval, ObjectScore, Outcome, Result, percent

COUNT_METRICS = ("mean_absolute_error", "within_one", "spearman", "adjacent_auc")  # undefined for object labels
FEW_OBJECTS = 50  # below, a note says that a study is a trial run
TALLY = "tally"
DIRECTION_PROBE = "nearest_mean"  # a second probe of r / |r|, beside the headline's
# controls with a description length
MDL_CONTROLS = ("none", "norm", "direction", "untrained", "shuffled", "control_task")
TALLY_CONTROLS = ("none", "repeated", "incoherent", "independent", "untrained")
CONVENTION = "A count is the number of context images that r is formed from; the query is not counted."


class CountProbe:
    """Runs the count probes, their statistics and the decoding of targets."""

    def __init__(self, probe_inputs: ProbeInputs, settings: StudySettings) -> None:
        self.inputs, self.settings = probe_inputs, settings
        self.counts = torch.tensor(probe_inputs.counts)
        self.objects = probe_inputs.objects
        self.notes: list[str] = []
        self.predictions: dict[CaseName, Predictions] = {}
        self.permutations = WithinObjectPermutations(
            len(self.objects), len(self.counts), permutations=settings.permutations, seed=settings.seed
        )

    def outcome(self) -> Outcome:
        """Run everything; return result rows and answers.

        Raises:
            ValueError: there are too few objects for a split, or an input is unknown.
        """
        given, columns = self.settings.inputs[0], range(len(self.counts))
        rows = torch.stack([self.inputs.unreduced_rows(given, column)[:MAX_OBJECTS] for column in columns], dim=1)
        similarity = list(similarity_rows(rows, self.inputs.counts))
        outcome = Outcome([], [], [], similarity, {}, "", CONVENTION, self.notes)
        if len(self.objects) < FEW_OBJECTS:
            self.notes.append(
                f"{len(self.objects)} objects are few: intervals are rough, and every probe has little to learn from."
            )
        for datasets in self._memory_bounded_batches(self._cases()):
            results = self._evaluate(datasets)
            for probe_name, probe in self.settings.active_probes.items():
                for name, members in group_by_case(probe_name, results[probe_name]).items():
                    self._add(outcome, name, members)
                if isinstance(probe, Linear):
                    outcome.results.extend(self._description_lengths(probe_name, probe, datasets))
                if isinstance(probe, Ridge):
                    outcome.results.extend(self._extrapolation(probe_name, probe, datasets))
        outcome.results.extend(self._tally_rows())
        outcome.results.extend(self._selectivity())
        decoder = TargetDecoder(self.inputs, self.settings)
        outcome.results.extend(decoder.rows(self.notes))
        for name, share in self.inputs.retained.items():
            self.notes.append(
                f"Count probes see {name} along the {self.settings.axes} leading axes of its views, "
                f"which hold {percent(share, 2)} of their squared length; targets are decoded from all numbers."
            )
        evidence = self._evidence()
        answers = [count_answer(evidence), *decoder.answers()]
        return outcome._replace(
            headline=evidence.values(),
            answer=" ".join(each.text for each in answers),
            answers=answers,
            objects=list(self._object_scores(decoder)),
        )

    def _memory_bounded_batches(self, cases: Iterator[list[ProbeDataset]]) -> Iterator[list[ProbeDataset]]:
        """Yield batches of cases that are fitted together: all, unless labels and predictions exceed memory."""
        # bytes a row, of which each probe predicts a fifth
        predicted = 0.2 * (4 * len(self.counts) + 24) * len(self.settings.active_probes)
        of_dataset = (16 + predicted) * len(self.objects) * len(self.counts)
        batch: list[ProbeDataset] = []
        for case in cases:
            if batch and not self.settings.fits_memory(of_dataset * (len(batch) + len(case))):
                yield batch
                batch = []
            batch = batch + case
        yield batch

    def _cases(self) -> Iterator[list[ProbeDataset]]:
        """Yield the data sets of each input and control, all seeds; an inapplicable control becomes a note."""
        for name in self.settings.chosen:
            own_input = self.settings.control[name].input
            for given in [own_input] if own_input else self.settings.inputs:
                try:
                    case = [self.inputs.dataset(given, name, seed) for seed in self.inputs.seeds(name)]
                except ValueError as error:
                    if name in HEADLINE:
                        raise
                    self.notes.append(f"Control {name} was left out: {error}.")
                else:
                    yield case

    def _evaluate(self, datasets: Sequence[ProbeDataset]) -> dict[str, list[ProbeResult]]:
        """Evaluate all probes data set by data set, so that each is rotated to its axes once for all probes."""
        results: dict[str, list[ProbeResult]] = {}
        values, device = self.counts.float(), self.inputs.study_inputs.device
        for name, probe in self.settings.active_probes.items():  # perceptrons train on all data sets side by side
            results[name] = probe.evaluate(datasets, values, device) if isinstance(probe, Perceptron) else []
        with progress("fitting probes", len(datasets), "data sets") as advance:
            for dataset in datasets:
                for name, probe in self.settings.active_probes.items():
                    meaningless = isinstance(probe, Ridge) and self._has_object_labels(dataset.control)
                    if not isinstance(probe, Perceptron) and not meaningless:
                        results[name] += probe.evaluate([dataset], values, device)
                advance(1)
        return results

    def _has_object_labels(self, control: str) -> bool:
        """True if labels are random, one an object: regression on them is meaningless."""
        return self.settings.control[control].labels == "object_label"

    def _units(self, control: str) -> Int[Tensor, " s"]:
        return self.inputs.units(self.settings.control[control])

    def _add(self, outcome: Outcome, name: CaseName, members: Sequence[ProbeResult]) -> None:
        """Add the result rows of one case, all seeds."""
        tested = Predictions.concatenate([member.test for member in members])
        rows = [*pooled_rows(name, tested, self.counts, self._units(name.control), self.permutations)]
        rows += [row for member in members for row in seed_rows(name, member, self.counts)]
        if self._has_object_labels(name.control):
            rows = [row for row in rows if row.count is None and row.metric not in COUNT_METRICS]
        else:
            outcome.confusion.extend(confusion_rows(name, tested, self.inputs.counts))
        outcome.results.extend(rows)
        outcome.curves.extend(point for member in members for point in curve_rows(name, member))
        self.predictions[name] = tested.without_probability()

    def _tally_rows(self) -> Iterator[Result]:
        """Yield the results of the label-free tally on every input that is a sum."""
        sums = [given for given in self.settings.inputs if is_sum(self.inputs.study_inputs.network, given)]
        probed = {(case.input, case.control) for case in self.predictions}  # without controls that were left out
        for name in TALLY_CONTROLS:
            for given in (given for given in sums if (given, name) in probed):
                control, units = self.settings.control[name], self._units(name)
                parts = []
                for seed in self.inputs.seeds(name):
                    dataset, split = self.inputs.dataset(given, name, seed), split_groups(units, seed)
                    views = self.inputs.views(given, self.inputs.encoder(control, seed))
                    known, held = (views[part].flatten(0, 1) for part in split[:2])
                    direction = tally_direction(known, held)
                    rows = dataset.split.test
                    logits = tally(dataset.test_features[rows], direction, self.counts.float())
                    groups, labels = dataset.groups[rows], dataset.labels[rows]
                    parts.append(Predictions.from_logits(groups, labels, logits, dataset.encoder))
                case, tested = CaseName("count", given, name, TALLY), Predictions.concatenate(parts)
                for row in pooled_rows(case, tested, self.counts, units, self.permutations):
                    if row.metric not in ("loss", "adjacent_auc"):  # its logits are no probabilities
                        yield row
                self.predictions[case] = tested.without_probability()

    def _description_lengths(
        self, probe_name: str, probe: Linear, datasets: Sequence[ProbeDataset]
    ) -> Iterator[Result]:
        """Yield the description length of the first input's training labels, bits a label, pooled over seeds."""
        groups: dict[CaseName, list[ProbeDataset]] = defaultdict(list)
        for dataset in datasets:
            if dataset.input == self.settings.inputs[0] and dataset.control in MDL_CONTROLS:
                groups[dataset.case(probe_name)].append(dataset)
        for name, members in groups.items():
            bits, owners = [], []
            for dataset in members:
                train = dataset.split.train
                bits.append(
                    code_lengths(dataset, probe, classes=len(self.counts), device=self.inputs.study_inputs.device)
                )
                owners.append(self._units(name.control)[dataset.groups[train].sort(stable=True).values])
            found = positive_mean_interval(cluster_sums(torch.cat(bits), torch.cat(owners), len(self.objects)))
            yield Result.pooled(name, "description_length", found, n=len(torch.cat(bits)), split="train")

    def _extrapolation(self, probe_name: str, probe: Ridge, datasets: Sequence[ProbeDataset]) -> Iterator[Result]:
        """Yield errors on the larger half of the counts of ridge regressions trained on the smaller half."""
        half = len(self.counts) // 2
        asked = [d for d in datasets if half > 1 and not self._has_object_labels(d.control)]
        small = [
            dataset._replace(
                split=Split(
                    *(rows[dataset.labels[rows] < half] for rows in dataset.split[:2]),
                    test=dataset.split.test[dataset.labels[dataset.split.test] >= half],
                )
            )
            for dataset in asked
            if dataset.labels[dataset.split.train].unique().numel() == len(self.counts)
        ]
        for name, members in group_by_case(probe_name, probe.evaluate(small, self.counts.float(), "cpu")).items():
            tested = Predictions.concatenate([member.test for member in members])
            error = (self.counts[tested.predicted] - self.counts[tested.labels]).double()
            owners = self._units(name.control)[tested.groups]
            for metric, values in (("mean_absolute_error", error.abs()), ("bias", error)):
                found = mean_interval(cluster_sums(values, owners, len(self.objects)))
                yield Result.pooled(name, f"extrapolation_{metric}", found, n=len(error))

    def _selectivity(self) -> Iterator[Result]:
        """Yield accuracy less that of the control task on the same split of rows (Hewitt & Liang 2019)."""
        for name, predictions in self.predictions.items():
            task = self.predictions.get(name._replace(control="control_task"))
            if name.control == "row_split" and task is not None:
                found = paired_difference(predictions, task, self.objects)
                case = name._replace(control="none")
                yield Result.pooled(case, "selectivity", found, n=len(predictions.labels))

    def _evidence(self) -> CountEvidence:
        """Return the accuracies of the headline's probe on the first input, which the first answer rests on."""
        given, probe = self.settings.inputs[0], self.settings.headline
        of = {c.control: p for c, p in self.predictions.items() if (c.input, c.probe) == (given, probe)}
        full, norm = (of[name] for name in HEADLINE)
        tallied = self.predictions.get(CaseName("count", given, "none", TALLY))
        names = [CaseName("count", given, "direction", each) for each in (probe, DIRECTION_PROBE)]
        directions = [self.predictions[name] for name in names if name in self.predictions]

        def share(found: Predictions | None) -> Interval | None:
            return None if found is None else proportion_interval(correct_by_unit(found, self.objects))

        read = [found for found in map(share, directions) if found is not None]
        mixing = self.inputs.mixing
        return CountEvidence(
            probe=probe,
            input=given,
            objects=len(full.groups.unique()),
            counts=len(self.counts),
            accuracy=proportion_interval(correct_by_unit(full, self.objects)),
            norm_only=proportion_interval(correct_by_unit(norm, self.objects)),
            difference=paired_difference(full, norm, self.objects),
            direction=max(read, key=lambda found: found.value, default=None),
            tally=share(tallied),
            tally_difference=None if tallied is None else paired_difference(tallied, full, self.objects),
            untrained=share(of.get("untrained")),
            transfer=paired_difference(of["transfer"], full, mixing) if "transfer" in of else None,
            groups=int(mixing.max()) + 1,
        )

    def _object_scores(self, decoder: TargetDecoder) -> Iterator[ObjectScore]:
        """Yield per-object scores of the headline's probe on the count and of the linear probe on targets."""
        source = Source(self.settings.inputs[0], "none")
        count = CaseName("count", *source, self.settings.headline)
        found: dict[tuple[CaseName, int | None], tuple[str, ClusterSums]] = {
            (count, None): ("accuracy", correct_by_unit(self.predictions[count], self.objects))
        }
        for case, score in decoder.scores.items():
            if (case.source, case.probe, case.train_objects) == (source, LINEAR, None):
                found[CaseName(case.target, *source, case.probe), case.count] = score.metric, score.sums
        for (name, key), (metric, sums) in found.items():
            yield from object_rows(name, key, metric, sums)

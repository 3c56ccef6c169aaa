"""ProbeResult the count from r: every input under every control with every probe and seed, and the headline."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.linear import ProbeResult, Softmax
from gqn_probe.analysis.probes.mdl import code_lengths
from gqn_probe.analysis.probes.predictions import Predictions
from gqn_probe.analysis.probes.ridge import Ridge
from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import HEADLINE, StudySettings
from gqn_probe.analysis.questions.splits import Split
from gqn_probe.analysis.statistics.bootstrap import ObjectBootstrap, WithinObjectPermutations
from gqn_probe.analysis.statistics.headline import Headline
from gqn_probe.analysis.statistics.scores import (
    confusion_rows,
    curve_rows,
    paired_difference,
    pooled_rows,
    seed_rows,
)
from gqn_probe.analysis.statistics.similarity import similarity_rows
from gqn_probe.results import Outcome, Result

OF_COUNTS = ("mean_absolute_error", "within_one", "spearman", "adjacent_auc")  # not of other labels
FEW = 50  # objects, below which a study is a trial run
CONVENTION = "A count is the number of context images that r is formed from; the query is not counted."


def counting_outcome(probe_inputs: ProbeInputs, settings: StudySettings, bootstrap: ObjectBootstrap) -> Outcome:
    """The study of two or more counts.

    Raises:
        ValueError: there are too few objects for a split, or an input is unknown.
    """
    counts = torch.tensor(probe_inputs.counts)
    objects, device = bootstrap.draws.shape[1], probe_inputs.study_inputs.device
    datasets, notes = all_cases(probe_inputs, settings)
    if objects < FEW:
        notes.append(f"{objects} objects are few: intervals are rough, and every probe has little to learn from.")
    permutations = WithinObjectPermutations(
        objects, len(counts), permutations=settings.permutations, seed=settings.seed
    )
    of_groups = ObjectBootstrap(objects, resamples=settings.resamples, seed=settings.seed, groups=probe_inputs.mixing)
    outcome = Outcome(
        [], [], [], list(similarity_rows(probe_inputs.representations, probe_inputs.counts)), {}, "", CONVENTION, notes
    )
    together: dict[CaseName, Predictions] = {}
    for probe_name, probe in settings.kept.items():
        predictions = probe.evaluate(datasets, counts.float(), device)
        for name, members in _grouped(probe_name, predictions).items():
            tested = Predictions.together([member.test for member in members])
            own_bootstrap = of_groups if settings.control[name.control].mixes else bootstrap
            rows = [*pooled_rows(name, tested, counts, own_bootstrap, permutations)]
            rows += [row for member in members for row in seed_rows(name, member, counts)]
            if settings.control[name.control].labels == "object":
                rows = [row for row in rows if row.count is None and row.metric not in OF_COUNTS]
            else:
                outcome.confusion.extend(confusion_rows(name, tested, probe_inputs.counts))
            outcome.results.extend(rows)
            outcome.curves.extend(point for member in members for point in curve_rows(name, member))
            together[name] = tested.without_probability()
        if isinstance(probe, Softmax) and probe.hidden is None:
            outcome.results.extend(_description_lengths(probe_name, probe, datasets, len(counts), device))
        if isinstance(probe, Ridge):
            of_counts = [dataset for dataset in datasets if settings.control[dataset.control].labels != "object"]
            outcome.results.extend(_extrapolation(probe_name, probe, of_counts, counts))
    outcome.results.extend(_selectivity(together, bootstrap))
    outcome.results.extend(TargetDecoder(probe_inputs, settings, bootstrap).rows(notes))
    given, probe = settings.inputs[0], settings.headline
    first = {c.control: each for c, each in together.items() if (c.input, c.probe) == (given, probe)}
    headline = Headline.of(
        first,
        bootstrap,
        of_groups,
        full=HEADLINE[0],
        norm=HEADLINE[1],
        chance=1 / len(counts),
        probe=probe,
        input=given,
    )
    objects = len(first[HEADLINE[0]].groups.unique())
    return outcome._replace(headline=headline.values(), answer=headline.sentence(objects))


def all_cases(probe_inputs: ProbeInputs, settings: StudySettings) -> tuple[list[ProbeDataset], list[str]]:
    """Every input under every control with every seed; a control that the stimuli cannot give becomes a note."""
    datasets, notes = [], []
    for name in settings.chosen:
        own_input = settings.control[name].input
        for given in [own_input] if own_input else settings.inputs:
            try:
                datasets += [probe_inputs.dataset(given, name, seed) for seed in probe_inputs.seeds(name)]
            except ValueError as error:
                if name in HEADLINE:
                    raise
                notes.append(f"Control {name} was left out: {error}.")
    return datasets, notes


def _grouped(probe: str, predictions: Sequence[ProbeResult]) -> dict[CaseName, list[ProbeResult]]:
    groups: dict[CaseName, list[ProbeResult]] = {}
    for result in predictions:
        groups.setdefault(result.dataset.case(probe), []).append(result)
    return groups


def _description_lengths(
    probe_name: str, probe: Softmax, datasets: Sequence[ProbeDataset], classes: int, device: str
) -> Iterator[Result]:
    """Bits a label by online code, for the first seed."""
    firsts: dict[tuple[str, str], ProbeDataset] = {}
    for dataset in datasets:
        firsts.setdefault((dataset.input, dataset.control), dataset)
    first = list(firsts.values())
    for dataset, bits in zip(first, code_lengths(first, probe, classes=classes, device=device), strict=True):
        name = (dataset.target, dataset.input, dataset.control, probe_name)
        yield Result(*name, dataset.seed, "train", None, "description_length", bits)


def _extrapolation(
    probe_name: str, probe: Ridge, datasets: Sequence[ProbeDataset], counts: Int[Tensor, " k"]
) -> Iterator[Result]:
    """Trained on the smaller half of the counts, asked about the larger, of objects never trained on."""
    half = len(counts) // 2
    chosen = [
        dataset
        for dataset in datasets
        if half > 1 and dataset.labels[dataset.split.train].unique().numel() == len(counts)
    ]
    small = [
        dataset._replace(
            split=Split(
                *(rows[dataset.labels[rows] < half] for rows in dataset.split[:2]),
                test=dataset.split.test[dataset.labels[dataset.split.test] >= half],
            )
        )
        for dataset in chosen
    ]
    for name, members in _grouped(probe_name, probe.evaluate(small, counts.float(), "cpu")).items():
        predictions = Predictions.together([member.test for member in members])
        error = (counts[predictions.predicted] - counts[predictions.labels]).double()
        n = len(error)
        yield Result(*name, None, "test", None, "extrapolation_mean_absolute_error", float(error.abs().mean()), n=n)
        yield Result(*name, None, "test", None, "extrapolation_bias", float(error.mean()), n=n)


def _selectivity(together: dict[CaseName, Predictions], bootstrap: ObjectBootstrap) -> Iterator[Result]:
    """Accuracy on r less that on the control task, object by object: what could not have been memorised."""
    for name, predictions in together.items():
        target, given, control, probe = name
        task = together.get((target, given, "control_task", probe))
        if control == HEADLINE[0] and task is not None:
            found = paired_difference(predictions, task, bootstrap)
            yield Result.pooled(name, "selectivity", found, n=len(predictions.labels))

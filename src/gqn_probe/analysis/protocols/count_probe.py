"""Reading the count from r: every input under every control with every probe and seed, and the headline."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import Case
from gqn_probe.analysis.probes.linear import Reading, Softmax
from gqn_probe.analysis.probes.mdl import code_lengths
from gqn_probe.analysis.probes.predictions import Readings
from gqn_probe.analysis.probes.ridge import Ridge
from gqn_probe.analysis.protocols.decoding import Knowledge
from gqn_probe.analysis.protocols.probe_inputs import RowStore
from gqn_probe.analysis.protocols.study_settings import HEADLINE, StudySettings
from gqn_probe.analysis.questions.splits import Split
from gqn_probe.analysis.statistics.bootstrap import ObjectBootstrap, WithinObjectPermutations
from gqn_probe.analysis.statistics.headline import Headline
from gqn_probe.analysis.statistics.scores import (
    CaseName,
    case_name,
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


def counting_outcome(store: RowStore, settings: StudySettings, bootstrap: ObjectBootstrap) -> Outcome:
    """The study of two or more counts.

    Raises:
        ValueError: there are too few objects for a split, or an input is unknown.
    """
    counts = torch.tensor(store.counts)
    objects, device = bootstrap.draws.shape[1], store.material.device
    cases, notes = all_cases(store, settings)
    if objects < FEW:
        notes.append(f"{objects} objects are few: intervals are rough, and every probe has little to learn from.")
    permutations = WithinObjectPermutations(
        objects, len(counts), permutations=settings.permutations, seed=settings.seed
    )
    of_groups = ObjectBootstrap(objects, resamples=settings.resamples, seed=settings.seed, groups=store.mixing)
    outcome = Outcome([], [], [], list(similarity_rows(store.representations, store.counts)), {}, "", CONVENTION, notes)
    together: dict[CaseName, Readings] = {}
    for probe_name, probe in settings.kept.items():
        readings = probe.read(cases, counts.float(), device)
        for name, members in _grouped(probe_name, readings).items():
            tested = Readings.together([member.test for member in members])
            own_bootstrap = of_groups if settings.control[name[2]].mixes else bootstrap
            rows = [*pooled_rows(name, tested, counts, own_bootstrap, permutations)]
            rows += [row for member in members for row in seed_rows(name, member, counts)]
            if settings.control[name[2]].labels == "object":
                rows = [row for row in rows if row.count is None and row.metric not in OF_COUNTS]
            else:
                outcome.confusion.extend(confusion_rows(name, tested, store.counts))
            outcome.results.extend(rows)
            outcome.curves.extend(point for member in members for point in curve_rows(name, member))
            together[name] = tested.without_probability()
        if isinstance(probe, Softmax) and probe.hidden is None:
            outcome.results.extend(_description_lengths(probe_name, probe, cases, len(counts), device))
        if isinstance(probe, Ridge):
            of_counts = [case for case in cases if settings.control[case.control].labels != "object"]
            outcome.results.extend(_extrapolation(probe_name, probe, of_counts, counts))
    outcome.results.extend(_selectivity(together, bootstrap))
    outcome.results.extend(Knowledge(store, settings, bootstrap).rows(notes))
    given, probe = settings.inputs[0], settings.headline
    first = {name[2]: each for name, each in together.items() if name[1::2] == (given, probe)}
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
    objects = len(first[HEADLINE[0]].objects.unique())
    return outcome._replace(headline=headline.values(), answer=headline.sentence(objects))


def all_cases(store: RowStore, settings: StudySettings) -> tuple[list[Case], list[str]]:
    """Every input under every control with every seed; a control that the stimuli cannot give becomes a note."""
    cases, notes = [], []
    for name in settings.chosen:
        own_input = settings.control[name].input
        for given in [own_input] if own_input else settings.inputs:
            try:
                cases += [store.case(given, name, seed) for seed in store.seeds(name)]
            except ValueError as error:
                if name in HEADLINE:
                    raise
                notes.append(f"Control {name} was left out: {error}.")
    return cases, notes


def _grouped(probe: str, readings: Sequence[Reading]) -> dict[CaseName, list[Reading]]:
    groups: dict[CaseName, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(case_name(probe, reading), []).append(reading)
    return groups


def _description_lengths(
    probe_name: str, probe: Softmax, cases: Sequence[Case], classes: int, device: str
) -> Iterator[Result]:
    """Bits a label by online code, for the first seed."""
    firsts: dict[tuple[str, str], Case] = {}
    for case in cases:
        firsts.setdefault((case.input, case.control), case)
    first = list(firsts.values())
    for case, bits in zip(first, code_lengths(first, probe, classes=classes, device=device), strict=True):
        name = (case.target, case.input, case.control, probe_name)
        yield Result(*name, case.seed, "train", None, "description_length", bits)


def _extrapolation(probe_name: str, probe: Ridge, cases: Sequence[Case], counts: Int[Tensor, " k"]) -> Iterator[Result]:
    """Trained on the smaller half of the counts, asked about the larger, of objects never trained on."""
    half = len(counts) // 2
    chosen = [case for case in cases if half > 1 and case.labels[case.split.train].unique().numel() == len(counts)]
    small = [
        case._replace(
            split=Split(
                *(rows[case.labels[rows] < half] for rows in case.split[:2]),
                test=case.split.test[case.labels[case.split.test] >= half],
            )
        )
        for case in chosen
    ]
    for name, members in _grouped(probe_name, probe.read(small, counts.float(), "cpu")).items():
        readings = Readings.together([member.test for member in members])
        error = (counts[readings.predicted] - counts[readings.labels]).double()
        n = len(error)
        yield Result(*name, None, "test", None, "extrapolation_mean_absolute_error", float(error.abs().mean()), n=n)
        yield Result(*name, None, "test", None, "extrapolation_bias", float(error.mean()), n=n)


def _selectivity(together: dict[CaseName, Readings], bootstrap: ObjectBootstrap) -> Iterator[Result]:
    """Accuracy on r less that on the control task, object by object: what could not have been memorised."""
    for name, readings in together.items():
        target, given, control, probe = name
        task = together.get((target, given, "control_task", probe))
        if control == HEADLINE[0] and task is not None:
            found = paired_difference(readings, task, bootstrap)
            yield Result.pooled(name, "selectivity", found, n=len(readings.labels))

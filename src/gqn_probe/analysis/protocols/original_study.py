"""Replication of the original study's classifier (``experiment=original``), with the norm of r as a control.

Of 15 views n are drawn anew for every n in 2..15, the last of which is the query: label n stands for n - 1 context
images. The classifier is a perceptron on all of r (256 numbers in the released network) with 128 ReLU units and a
16-way softmax, raw inputs, Keras' Glorot initialisation and Adam (rate 1e-3, epsilon 1e-7, batches of 32), trained for
100 epochs on the first 80 % of rows in scene order and validated on the rest. The same classifier on the norms of r is
the control that the original study lacked.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from scipy.stats import binomtest
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import context_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import original_task
from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.perceptron import Perceptron
from gqn_probe.analysis.probes.predictions import Predictions, confusion, row_scores
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import TRANSFORMS
from gqn_probe.analysis.questions.splits import Split
from gqn_probe.analysis.statistics.headline import COUNT, share_words
from gqn_probe.results import Answer, ConfusionCell, CurvePoint, Interval, Outcome, Result, percent

LABELS = 16  # classes of the softmax; 0 and 1 do not occur
TRAINED = 0.8  # share of rows
ORIGINAL_WIDTH = 256  # size of the released network's r
CASES = tuple(CaseName("count", "whole", control, "original") for control in ("none", "norm"))
CONVENTION = (
    "A count is the original study's label: the number of images drawn, of which the last is the query. "
    "Label n stands for n - 1 context images."
)


def original_rows(
    study_inputs: StudyInputs, counts: tuple[int, ...], settings: StudySettings
) -> Float[Tensor, "s k d"]:
    """Return all of r for every scene and label."""
    number, views = len(study_inputs.scenes), study_inputs.scenes.views
    contexts = [original_task(number, views, count, settings.seed).context for count in counts]
    return torch.stack([context_rows(study_inputs, "whole", context) for context in contexts], dim=1)


def original_outcome(
    representations: Float[Tensor, "s k d"], counts: tuple[int, ...], settings: StudySettings, *, device: str
) -> Outcome:
    """Train the original's classifier on r and on its norms; score validation rows.

    Raises:
        ValueError: a label above 15, or too few rows to hold any out.
    """
    if max(counts) >= LABELS:
        raise ValueError(f"context={max(counts)} is above {LABELS - 1}, the largest label of the original study")
    objects, number = representations.shape[:2]
    trained = math.floor(TRAINED * objects * number)
    if not 0 < trained < objects * number:
        raise ValueError(f"{objects * number} rows cannot be split in 80 % and 20 %; use more objects or counts")
    norms = TRANSFORMS["norm"](representations, torch.tensor(counts), torch.Generator())
    norms = (norms - norms.mean(dim=(0, 1))) / norms.std(dim=(0, 1)).clamp(min=1e-12)  # raw norms are in the thousands
    outcome = Outcome([], [], [], [], {}, "", CONVENTION, [])
    reached = {}
    for case, rows in zip(CASES, (representations, norms), strict=True):
        reached[case.control] = _classify(outcome, case, rows, counts, settings, device)
    accuracy, norm, guess = reached["none"], reached["norm"], 1 / len(counts)
    headline = {"probe": CASES[0].probe, "input": CASES[0].input, "chance": guess}
    for name, found in (("accuracy", accuracy), ("norm_only", norm)):
        headline |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    width = representations.shape[2]
    answer = (
        f"The original study's classifier predicts the number of images drawn with an accuracy of "
        f"{share_words(accuracy, f'chance: {percent(guess)}')}, and {share_words(norm)} from the norms of r alone, "
        "which does not show that r holds more about its views than their number."
    )
    details = f"{objects * number - trained} validation rows of r, {width} numbers."
    if norm.high >= accuracy.low:
        details += " Any sum of non-negative views gives such a result."
    if width != ORIGINAL_WIDTH:
        outcome.notes.append(f"r of this network is {width} numbers; that of the original study was {ORIGINAL_WIDTH}.")
    answers = [
        Answer(COUNT, answer, *accuracy, licence="the same classifier on the length of r alone", details=details)
    ]
    return outcome._replace(headline=headline, answer=answer, answers=answers)


def _classify(
    outcome: Outcome,
    case: CaseName,
    representations: Float[Tensor, "s k d"],
    counts: tuple[int, ...],
    settings: StudySettings,
    device: str,
) -> Interval:
    """Train the classifier with every seed, add its rows to ``outcome``; return its accuracy."""
    probe = settings.active_probes[settings.headline]
    if not isinstance(probe, Perceptron):
        raise ValueError("the original study's classifier is a perceptron: choose probe=original")
    features = rearrange(representations, "s k d -> (s k) d").contiguous()
    labels, rows = torch.tensor(counts).repeat(len(representations)), torch.arange(len(features))
    trained, owners, validated = math.floor(TRAINED * len(labels)), rows // len(counts), []
    for seed in settings.probe_seeds():
        split = Split(rows[:trained], rows[trained:], test=rows[:0])
        dataset = ProbeDataset(*case[:3], seed, features, labels, owners, split, features)
        fitted = probe.fit([dataset], classes=LABELS, rows=trained, device=device)
        logits = fitted.logits(0, 0, features[trained:])
        validated.append(Predictions.from_logits(owners[trained:], labels[trained:], logits))
        for column, values in fitted.curves._asdict().items():
            part, metric = column.split("_", 1)
            points = enumerate(values.flatten().tolist(), start=1)
            outcome.curves.extend(CurvePoint(*case, seed, epoch, part, metric, value) for epoch, value in points)
            outcome.results.append(Result(*case, seed, part, None, metric, float(values[-1])))
    predictions = Predictions.concatenate(validated)
    outcome.results.extend(_score(case, predictions, counts, settings.seeds))
    outcome.confusion.extend(
        ConfusionCell(*case[1:], true, predicted, n)
        for true, row in enumerate(confusion(predictions).tolist())
        for predicted, n in enumerate(row)
        if true in counts and (n or predicted in counts)
    )
    return _share(predictions.predicted == predictions.labels, settings.seeds)


def _score(case: CaseName, predictions: Predictions, labels: tuple[int, ...], seeds: int) -> list[Result]:
    n = len(predictions.labels)
    scores = row_scores(predictions, torch.arange(LABELS)).mean(dim=0).tolist()
    found = [
        Result(*case, None, "validation", None, metric, value, n=n)
        for metric, value in zip(("mean_absolute_error", "within_one"), scores[1:3], strict=True)
    ]
    right = predictions.predicted == predictions.labels
    found.append(Result.pooled(case, "accuracy", _share(right, seeds), n=n, split="validation"))
    for label in labels:
        here = right[predictions.labels == label]
        if len(here):
            share = _share(here, seeds)
            found.append(Result.pooled(case, "accuracy", share, n=len(here), count=label, split="validation"))
    return found


def _share(right: Tensor, seeds: int) -> Interval:
    """Return accuracy with Wilson's interval over rows (not clustered, as in the original); seeds add no rows."""
    value = float(right.double().mean())
    rows = max(1, len(right) // max(1, seeds))
    test = binomtest(round(value * rows), rows).proportion_ci(method="wilson")
    return Interval(value, test.low, test.high)

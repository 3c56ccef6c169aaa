"""The original study's classifier, to the letter (its README and script; ``experiment=original``).

Of 15 views n are drawn anew for every n in 2..15, the last of which is the query: label n stands for n - 1 context
images. A perceptron of 256 inputs, 128 ReLU and a 16-way softmax, untouched inputs, Keras' Glorot start and Adam
(rate 1e-3, epsilon 1e-7, batches of 32), 100 epochs on the first 80 % of the rows in scene order, validated on the
rest. One split, no control: what it shows is what that study showed.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from scipy.stats import binomtest
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.perceptron import Perceptron
from gqn_probe.analysis.probes.predictions import Predictions, confusion, row_scores
from gqn_probe.analysis.probes.probe_fit import fit_probes
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.splits import Split
from gqn_probe.results import ConfusionCell, CurvePoint, Interval, Outcome, Result

LABELS = 16  # of the softmax: 0 and 1 are never asked for
TRAINED = 0.8
CASE = CaseName("count", "pooled", "none", "original")
CONVENTION = (
    "A count is the original study's label: the number of images drawn, of which the last is the query. "
    "Label n stands for n - 1 context images."
)


def original_outcome(
    representations: Float[Tensor, "s k d"], counts: tuple[int, ...], settings: StudySettings, *, device: str
) -> Outcome:
    """Train the original's classifier on r of every scene and label, and score its validation rows.

    Raises:
        ValueError: a label above 15, or too few rows to hold any out.
    """
    if max(counts) >= LABELS:
        raise ValueError(f"context={max(counts)} is above {LABELS - 1}, the largest label of the original study")
    objects, labels_an_object = representations.shape[:2]
    inputs = rearrange(representations, "s k d -> (s k) d").contiguous()
    labels = torch.tensor(counts).repeat(objects)
    trained = math.floor(TRAINED * len(labels))
    if not 0 < trained < len(labels):
        raise ValueError(f"{len(labels)} rows cannot be split in 80 % and 20 %; use more objects or counts")
    rows = torch.arange(len(labels))
    results: list[Result] = []
    curves: list[CurvePoint] = []
    validated = []
    probe = settings.kept[settings.headline]
    if not isinstance(probe, Perceptron):
        raise ValueError("the original study's classifier is a softmax one: choose probe=original")
    for seed in settings.probe_seeds():
        split = Split(rows[:trained], rows[trained:], test=rows[:0])
        dataset = ProbeDataset(*CASE[:3], seed, inputs, labels, rows // labels_an_object, split, inputs)
        fitted = fit_probes([dataset], probe, classes=LABELS, rows=trained, device=device)
        logits = fitted.logits(0, 0, inputs[trained:])
        validated.append(Predictions.of(rows[trained:] // labels_an_object, labels[trained:], logits))
        for column, values in fitted.curves._asdict().items():
            split, metric = column.split("_", 1)
            points = enumerate(values.flatten().tolist(), start=1)
            curves += [CurvePoint(*CASE, seed, epoch, split, metric, value) for epoch, value in points]
            results.append(Result(*CASE, seed, split, None, metric, float(values[-1])))
    predictions = Predictions.together(validated)
    results += _score(predictions, torch.arange(LABELS), counts, settings.seeds)
    cells = [
        ConfusionCell(*CASE[1:], true, predicted, n)
        for true, row in enumerate(confusion(predictions).tolist())
        for predicted, n in enumerate(row)
        if true in counts and (n or predicted in counts)
    ]
    reached = _share(predictions.predicted == predictions.labels, settings.seeds)
    headline = {
        "probe": CASE.probe,
        "input": CASE.input,
        "accuracy": reached.value,
        "accuracy_low": reached.low,
        "accuracy_high": reached.high,
        "chance": 1 / len(counts),
    }
    answer = (
        f"The original study's classifier names the number of images drawn with an accuracy of {reached.value:.1%} "
        f"({reached.low:.1%} to {reached.high:.1%}) on {len(labels) - trained} validation rows "
        f"(guessing: {1 / len(counts):.1%}); with no control, this does not tell whether r says more than its length."
    )
    return Outcome(results, curves, cells, [], headline, answer, CONVENTION, [])


def _score(predictions: Predictions, counts: Tensor, labels: tuple[int, ...], seeds: int) -> list[Result]:
    n = len(predictions.labels)
    scores = row_scores(predictions, counts).mean(dim=0).tolist()
    found = [
        Result(*CASE, None, "validation", None, metric, value, n=n)
        for metric, value in zip(("mean_absolute_error", "within_one"), scores[1:3], strict=True)
    ]
    right = predictions.predicted == predictions.labels
    found.append(Result.pooled(CASE, "accuracy", _share(right, seeds), n=n, split="validation"))
    for label in labels:
        here = right[predictions.labels == label]
        if len(here):
            share = _share(here, seeds)
            found.append(Result.pooled(CASE, "accuracy", share, n=len(here), count=label, split="validation"))
    return found


def _share(right: Tensor, seeds: int) -> Interval:
    """The share of rows read rightly with Wilson's interval, which takes rows for independent; seeds add no rows."""
    value = float(right.double().mean())
    rows = max(1, len(right) // max(1, seeds))
    test = binomtest(round(value * rows), rows).proportion_ci(method="wilson")
    return Interval(value, test.low, test.high)

"""Definitions of every metric, target and baseline in a sentence each, shown wherever its numbers are shown."""

from collections.abc import Iterable
from typing import NamedTuple


class Term(NamedTuple):
    """A name as the result files have it, the words for a table's head, and its meaning."""

    label: str
    meaning: str


METRICS = {
    "accuracy": Term("accuracy", "share of rows of unseen objects that were read rightly"),
    "balanced_accuracy": Term("balanced accuracy", "mean over true counts of the share read rightly"),
    "within_one": Term("within ±1", "share of rows read at most one count off"),
    "mean_absolute_error": Term("mean error (images)", "mean distance of the count read from the true count"),
    "spearman": Term("Spearman ρ", "rank correlation of counts read and true counts: 1 for the same order"),
    "selectivity": Term(
        "selectivity", "accuracy less that on random labels, one an object: what is read rather than memorised"
    ),
    "permutation_p": Term(
        "permutation p", "how often labels permuted within objects agree with the predictions as well as the true ones"
    ),
    "description_length": Term(
        "code (bits a label)", "bits a label by online coding (Voita & Titov 2020): the fewer, the easier to read"
    ),
    "extrapolation_mean_absolute_error": Term(
        "error beyond trained counts", "a ridge regression trained on the smaller counts, asked about the larger"
    ),
    "adjacent_auc": Term(
        "AUC to the next", "area under the ROC curve of telling this count from the next greater one: .5 is guessing"
    ),
    "r2": Term("R²", "share of the variance told, of unseen objects: 1 is all, 0 is what their mean would tell"),
    "sample_rmse": Term(
        "sample RMSE",
        "root mean squared error, in grey levels (0 to 255), of a query predicted from the context alone",
    ),
    "rmse": Term(
        "posterior RMSE",
        "the same where the network has seen the query itself",
    ),
    "shuffled_rmse": Term("another scene's r", "the same of what another scene's images predict"),
    "nearest_rmse": Term("nearest view", "the same of the context image whose camera is nearest to the query's"),
    "mean_rmse": Term("mean image", "the same of the mean of all views, which knows nothing of the object"),
    "kl": Term(
        "KL (nats)",
        "nats that the query adds to what the context told: near 0, posterior and prior pictures look alike",
    ),
    "spread_rmse": Term("spread of samples", "standard deviation of samples of one query in grey levels: the doubt"),
    "averaged_rmse": Term(
        "averaged samples' RMSE", "error of the mean of 16 samples: as large as their spread if right"
    ),
    "iou": Term("silhouette IoU", "overlap of the object's pixels in a sample and in the truth: 1 is all"),
    "nats_above_floor": Term(
        "nats above floor", "how much less likely the query is than under a perfect prediction (importance sampling)"
    ),
    "bits_per_dimension": Term("bits a dimension", "the query's negative log-likelihood a pixel and channel"),
}

TARGETS = {
    "shape": Term("shape", "the object's shape up to rotation; mirror images differ"),
    "chirality": Term("chirality", "left- or right-handed, of objects that have mirror images"),
    "parts": Term("number of cubes", "of how many cubes the object is made"),
    "positions": Term("cubes' positions", "each cube's place along the object, which may be walked from either end"),
    "second_moments": Term("second moments of positions", "how far the cubes spread along and across each axis"),
    "occupancy": Term("occupancy", "which cells of a grid around the object hold a cube"),
    "color": Term("mean colour", "the mean colour of the cubes"),
    "colors": Term("cubes' colours", "the colour of each cube along the object, which may be walked from either end"),
    "color_where": Term("colour-where", "on which side of the object each colour is: colour deviation times position"),
    "colour_where": Term("colour-where", "on which side of the object each colour is: colour deviation times position"),
    "direction": Term("mean viewing direction", "the mean unit vector to the context cameras"),
    "coverage": Term("coverage of directions", "1 less the length of that mean: 0 where all views are from one side"),
}


CONTROLS = {
    "norm": "norms of r, and nothing else of it",
    "direction": "r divided by its length",
    "divided": "r divided by the count: the mean of the images' codes",
    "norm_matched": "r, with the lengths that it has at all counts of an object dealt out among them at random",
    "repeated": "one image, added up k times",
    "incoherent": "the sum of images of k different objects",
    "independent": "images drawn anew at each count; elsewhere each count adds to the images of the one before",
    "transfer": "fitted to sums of images of one object, scored on sums of images of different objects",
    "untrained": "r of networks of the same architecture with random weights",
    "pixels": "the sum of the images themselves",
    "cameras": "the sum of the cameras",
    "shape": "no shape, nor its mirror image, is among both the training and the test objects",
    "row_split": "each object is among both the training and the test rows, at different counts",
    "control_task": "a random label for each object: how much a probe can memorise (Hewitt & Liang 2019)",
    "shuffled": "the counts of each object are permuted: chance",
}

PROBES = {
    "linear": "softmax regression",
    "ridge": "ridge regression of each class's indicator",
    "mlp": "a network with one hidden layer",
    "knn": "vote of the nearest training rows",
    "nearest_mean": "class whose mean direction is nearest",
    "tally": "a direction along which each single image measures about 1; r is measured along it and rounded",
    "kernel_ridge": "ridge regression with a Gaussian kernel",
}


def explain(names: Iterable[str]) -> list[Term]:
    """The terms of those names that have one, in order, each once."""
    every = METRICS | TARGETS
    return [every[name] for name in dict.fromkeys(names) if name in every]


def target_label(target: str) -> str:
    """A decoded property in words."""
    return TARGETS[target].label if target in TARGETS else target.replace("_", " ")

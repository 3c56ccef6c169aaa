"""Definitions of every metric, decoded property and baseline, shown below the tables that have them."""

from collections.abc import Iterable
from typing import NamedTuple


class Term(NamedTuple):
    """Words for a name of the result files, and its definition."""

    label: str
    meaning: str


METRICS = {
    "accuracy": Term("accuracy", "share of correct predictions for held-out objects"),
    "balanced_accuracy": Term("balanced accuracy", "accuracy at each true count, averaged over counts"),
    "within_one": Term("within ±1", "share of predictions at most one count off"),
    "mean_absolute_error": Term("mean error (images)", "mean absolute difference of predicted and true count"),
    "spearman": Term("Spearman ρ", "rank correlation of predicted and true counts: 1 for the same order"),
    "selectivity": Term(
        "selectivity", "accuracy less that of a probe of random labels, one per object, which it can only memorise"
    ),
    "permutation_p": Term(
        "permutation p", "share of permutations of the labels within objects that fit the predictions as well"
    ),
    "description_length": Term(
        "code (bits per label)", "description length by online coding (Voita & Titov 2020): shorter is easier to decode"
    ),
    "extrapolation_mean_absolute_error": Term(
        "extrapolation error (images)", "mean error of a ridge regression trained on smaller counts, at larger ones"
    ),
    "adjacent_auc": Term(
        "AUC, next count", "area under the ROC curve for this count against the next larger one: 0.5 is guessing"
    ),
    "r2": Term("R²", "share of variance explained for held-out objects: 1 is all, 0 no more than their mean explains"),
    "sample_rmse": Term(
        "prediction RMSE",
        "root mean squared error, in grey levels (0 to 255), of a view sampled from r and its camera alone",
    ),
    "rmse": Term("posterior RMSE", "the same when the network also sees the view itself: the best it can draw"),
    "shuffled_rmse": Term("another scene's r", "RMSE of a prediction from another scene's images"),
    "nearest_rmse": Term("nearest view", "RMSE of the context image with the nearest camera, taken as prediction"),
    "mean_rmse": Term("mean image", "RMSE of the mean of all views, which is the same for every object"),
    "kl": Term("KL (nats)", "information that the view itself adds to the context: KL from posterior to prior"),
    "spread_rmse": Term(
        "spread of samples", "standard deviation of samples of one view, in grey levels: the network's uncertainty"
    ),
    "averaged_rmse": Term(
        "RMSE of the mean sample", "error of the mean of 16 samples; about their spread where uncertainty is calibrated"
    ),
    "iou": Term("silhouette IoU", "overlap of the object's silhouettes in a sample and in the truth: 1 is perfect"),
    "nats_above_floor": Term(
        "nats above floor", "how much less likely the view is than under a perfect prediction (importance sampling)"
    ),
    "bits_per_dimension": Term("bits per dimension", "negative log-likelihood of the view per pixel and channel"),
}

TARGETS = {
    "shape": Term("shape", "the object's shape up to rotation; mirror images are different shapes"),
    "chirality": Term("chirality", "which of two mirror images the object is, for shapes that differ from theirs"),
    "parts": Term("number of cubes", "how many cubes the object has"),
    "positions": Term("positions of cubes", "coordinates of each cube along the object, from either of its ends"),
    "second_moments": Term("second moments of positions", "how far the cubes extend along and across each axis"),
    "occupancy": Term("occupancy", "which cells of a grid around the object hold a cube"),
    "color": Term("mean colour", "the mean colour of the cubes"),
    "colors": Term("colours of cubes", "the colour of each cube along the object, from either of its ends"),
    "color_where": Term("colour by position", "on which side of the object each colour is: colour times position"),
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
    """Return the terms of those names that have one, in order, each once."""
    every = METRICS | TARGETS
    return [every[name] for name in dict.fromkeys(names) if name in every]


def target_label(target: str) -> str:
    """Return a decoded property in words."""
    return TARGETS[target].label if target in TARGETS else target.replace("_", " ")

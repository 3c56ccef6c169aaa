"""Representational dissimilarity matrices (RDMs): the distance between every two conditions.

Kriegeskorte, Mur & Bandettini 2008, "Representational similarity analysis". A matrix is kept as the vector of its upper
triangle, row by row, as in scipy and rsatoolbox.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

DISTANCES = ("correlation", "euclidean")
SYMMETRY = 1e-5  # difference between the two triangles, as a share of the largest entry, that is rounding


class Rdms(NamedTuple):
    """RDMs of the same conditions."""

    vectors: Float[np.ndarray, "rdm pair"]
    names: tuple[str, ...]  # of each RDM
    conditions: tuple[str, ...]  # ids

    def matrices(self) -> Float[np.ndarray, "rdm n n"]:
        """Return the square matrices."""
        return np.stack([squareform(vector) for vector in self.vectors])


class SubjectRdms(NamedTuple):
    """RDMs of people, animals or sessions, at one time or several."""

    vectors: Float[np.ndarray, "subject time pair"]
    subjects: tuple[str, ...]
    conditions: tuple[str, ...]  # ids; empty where the file has none

    def of(self, conditions: Int[np.ndarray, " n"]) -> "SubjectRdms":
        """Return the RDMs of some conditions, in the order given."""
        squares = [[squareform(vector)[np.ix_(conditions, conditions)] for vector in own] for own in self.vectors]
        vectors = np.stack([[squareform(square, checks=False) for square in own] for own in squares])
        return SubjectRdms(vectors, self.subjects, tuple(self.conditions[i] for i in conditions))


def compute_rdm(rows: Float[np.ndarray, "n f"], distance: str, where: str) -> Float[np.ndarray, " pair"]:
    """Return the distances between all pairs of rows: 1 - Pearson's correlation (0 to 2), or Euclidean.

    Raises:
        ValueError: naming ``where``, for a row that does not vary, so that it correlates with nothing.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if distance == "correlation" and (rows.shape[1] < 2 or np.ptp(rows, axis=1).min() <= 0):
        raise ValueError(
            f"{where}: a row is constant, so that its correlation is undefined: use analysis.distance=euclidean"
        )
    return pdist(rows, "correlation" if distance == "correlation" else "euclidean")


def count_conditions(pairs: int) -> int:
    """Return the number of conditions that have ``pairs`` pairs.

    Raises:
        ValueError: no number of conditions has so many.
    """
    n = round((1 + (1 + 8 * pairs) ** 0.5) / 2)
    if n * (n - 1) // 2 != pairs or n < 3:
        raise ValueError(f"{pairs} dissimilarities are not all pairs of any number of conditions from 3 on")
    return n


def as_vectors(array: Float[np.ndarray, "*rdm n n"], where: str) -> Float[np.ndarray, "*rdm pair"]:
    """Return the upper triangles of square RDMs.

    Raises:
        ValueError: naming ``where``, for what is not finite, not symmetric or has a diagonal other than 0.
    """
    array = np.asarray(array, dtype=np.float64)
    n = array.shape[-1]
    if array.ndim < 2 or array.shape[-2] != n or n < 3:
        raise ValueError(f"{where} has shape {array.shape}: an RDM is square, of 3 conditions or more")
    if not np.isfinite(array).all():
        raise ValueError(f"{where} holds {np.count_nonzero(~np.isfinite(array))} entries that are not finite")
    largest = max(float(np.abs(array).max()), 1e-300)
    asymmetry = float(np.abs(array - array.swapaxes(-1, -2)).max())
    if asymmetry > SYMMETRY * largest:
        raise ValueError(f"{where} is not symmetric: entries differ by up to {asymmetry:.3g}; average the two halves")
    diagonal = float(np.abs(np.diagonal(array, axis1=-2, axis2=-1)).max())
    if diagonal > SYMMETRY * largest:
        raise ValueError(f"{where} has {diagonal:.3g} on its diagonal, expected 0: are these similarities?")
    rows, columns = np.triu_indices(n, 1)
    return array[..., rows, columns]


def match_ids(wanted: Sequence[str], found: Sequence[str], where: str) -> tuple[list[int], list[int]]:
    """Return the places of shared ids in both lists, in the order of ``wanted``; extensions may differ.

    Raises:
        ValueError: an id occurs twice, or they share fewer than 4.
    """
    for names in (wanted, found):
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
        if twice:
            raise ValueError(f"{where}: the id {min(twice)} occurs twice")
    places = {name: place for place, name in enumerate(found)}
    plain = {name.rsplit(".", 1)[0]: place for name, place in places.items()}
    pairs = [(i, places.get(name, plain.get(name.rsplit(".", 1)[0]))) for i, name in enumerate(wanted)]
    shared = [(i, j) for i, j in pairs if j is not None]
    if len(shared) < 4:
        raise ValueError(
            f"{where} shares {len(shared)} ids with the scenes, at least 4 are needed: it has {', '.join(found[:3])}, "
            f"..., the scenes are {', '.join(wanted[:3])}, ..."
        )
    return [i for i, _ in shared], [j for _, j in shared]

"""The rows that a study writes, by the names that this package imports them by."""

from gqn_probe.results import ConfusionCell, CurvePoint, Result
from gqn_probe.results import Similarity as Likeness

__all__ = ["ConfusionCell", "CurvePoint", "Likeness", "Result"]

"""Probing studies of a scene representation r at growing numbers of context images."""

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.protocols.count_job import run_count
from gqn_probe.analysis.protocols.study import run_study
from gqn_probe.analysis.protocols.study_settings import StudySettings

__all__ = ["StudyInputs", "StudySettings", "run_count", "run_study"]

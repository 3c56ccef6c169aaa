"""What a scene representation knows as its number of context images grows: features, controls, probes, study."""

from gqn_probe.analysis.count import run_count
from gqn_probe.analysis.material import Material
from gqn_probe.analysis.settings import StudySettings
from gqn_probe.analysis.study import run_study

__all__ = ["Material", "StudySettings", "run_count", "run_study"]

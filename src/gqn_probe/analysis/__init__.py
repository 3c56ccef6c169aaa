"""Probing studies of a scene representation r at growing numbers of context images.

What calls what, from ``probe.py`` to ``results.csv``, in the order in which it is best read::

    probe.py
      pipeline/open_inputs.py        network, scenes and feature cache: inputs/study_inputs.py
      protocols/count_job.py         each count: r of every scene, predictions of a query -> files of the count
      pipeline/study_run.py          after the last count: everything below, then figures and report
        protocols/study.py           reads the counts' files (protocols/jobs.py), writes the result files
          protocols/count_probe.py   the count: every input, control, probe and seed
            protocols/probe_inputs.py    features, labels and split of one probe (inputs/, questions/)
            probes/                      fits it, predicts objects that it was not fitted to
            statistics/scores.py         rows of results.csv, with intervals (statistics/intervals.py)
          protocols/decoding.py      the other targets (questions/targets.py), by ridge regression (probes/ridge.py)
          statistics/headline.py     the three answers in sentences

``protocols/study_settings.py`` holds what a user may choose. With ``experiment=original``,
``protocols/original_study.py`` takes the place of count probe and decoding. ``pictures`` makes what the report shows
beside numbers. ``rotation``, ``rsa`` and ``connections`` are analyses of their own, and ``probes_while_training`` is a
callback of training.
"""

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.protocols.count_job import run_count
from gqn_probe.analysis.protocols.study import run_study
from gqn_probe.analysis.protocols.study_settings import StudySettings

__all__ = ["StudyInputs", "StudySettings", "run_count", "run_study"]

"""Decoding of planted targets."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.targets import TARGETS, Classes

from ..conftest import Planted


def test_intervals_are_over_what_is_held_out_together(
    planted: Planted, settings: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six shapes of 20 objects each, in which all are read rightly or none is: as many as six tell, not 120."""
    shapes = torch.arange(6).repeat(20)
    monkeypatch.setitem(TARGETS, "chirality", lambda scenes, views: Classes(shapes % 2, 2, shapes))
    r = torch.randn(6, 1, 12)[shapes] + 0.01 * torch.randn(120, 2, 12)
    settings = replace(settings, targets=("chirality",), controls=())
    decoder = TargetDecoder(ProbeInputs(planted(r), (2, 3), settings, tmp_path, r), settings)
    rows = [row for row in decoder.rows([]) if row.metric == "accuracy"]
    assert rows
    for row in rows:
        assert row.n == 120
        assert row.low is not None
        assert row.high is not None
        assert row.high - row.low > 0.5

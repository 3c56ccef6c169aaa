"""A control is found by lying in its folder, a new choice by being defined; both run from outside the package."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.analysis.protocols.count_probe import CountProbe
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import TRANSFORMS, Control, transform
from gqn_probe.analysis.questions.targets import TARGETS, Classes, target

CONF = Path(__file__).parents[3] / "conf"
YAML = """
rounded:
  _target_: gqn_probe.analysis.questions.controls.Control
  description: r rounded
  transform: rounded
"""


@pytest.mark.slow
def test_every_file_of_the_folder_is_a_control(tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf/probe/control/rounded.yaml").write_text(YAML)
    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        names = list(compose("probe").probe.control)
    assert names[:2] == ["none", "norm"]
    assert sorted(names) == sorted(path.stem for path in (tmp_path / "conf/probe/control").glob("*.yaml"))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert "rounded" not in compose("probe").probe.control
        kept = compose("probe", ["probe/control=[none,norm]", "probe.control.norm.description=short"]).probe.control
    assert list(kept) == ["none", "norm"]
    assert kept.norm.description == "short"


def test_a_control_and_a_target_of_ones_own_run_to_the_end(
    study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path
) -> None:
    @transform
    def rounded(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
        return r.round()

    @target
    def redness(scenes: object, views: Selection) -> Classes:
        return Classes(torch.arange(24) % 2, 2)

    try:
        settings = replace(
            settings,
            targets=("redness",),
            controls=("rounded",),
            probes={"ridge": settings.probes["ridge"]},
            seeds=1,
            control={**settings.control, "rounded": Control("r rounded", transform="rounded")},
        )
        r = torch.rand(24, 3, 6).cumsum(dim=1)
        outcome = CountProbe(ProbeInputs(study_inputs, (1, 3, 5), settings, tmp_path / "rows", r), settings).outcome()
    finally:
        del TRANSFORMS["rounded"], TARGETS["redness"]
    assert any(row.control == "rounded" and row.metric == "accuracy" for row in outcome.results)
    assert {row.count for row in outcome.results if row.target == "redness" and row.count is not None} == {1, 3, 5}


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="control transform=nrom is not known: did you mean norm\\? use identity"):
        Control("", transform="nrom")
    with pytest.raises(ValueError, match="mixes objects"):
        Control("", source="incoherent", split="shape")


def test_norms_by_hand_and_without_overflow() -> None:
    found = TRANSFORMS["norm"](torch.tensor([[[3.0, 4.0]]]), torch.tensor([1]), torch.Generator())[0, 0]
    expected = [(3**0.5 + 4**0.5) ** 2, 7.0, 5.0, (81 + 256) ** 0.25, 4.0]
    assert found.tolist() == pytest.approx(expected)
    assert TRANSFORMS["norm"](torch.full((1, 1, 9), 1e30), torch.tensor([1]), torch.Generator()).isfinite().all()


def test_controls_of_the_configuration_are_instantiated() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = instantiate(compose("probe").probe, _convert_="all")
    assert found.chosen[:2] == ("none", "norm")
    assert set(found.chosen) == set(found.control)

"""An encoder, a core, a target, a control and a figure from outside the package, through both scripts to the page."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import own_parts
import pytest
from scripts import ROOT, call, only_run, read_table
from tiny import TINY

from gqn_probe import load_gqn
from gqn_probe.analysis.questions.controls import TRANSFORMS, transform
from gqn_probe.analysis.questions.targets import TARGETS, target
from gqn_probe.model.conv_lstm import CORES, core
from gqn_probe.report.figure_registry import FIGURES, study_figure

ENCODER = """
# @package model
encoder:
  _target_: own_parts.Patches
  channels: 8
generator:
  representation_channels: ${model.encoder.channels}
  pooled: false
"""
CONTROL = """
rounded:
  _target_: gqn_probe.analysis.questions.controls.Control
  description: r rounded
  transform: rounded
"""
STUDY = [
    *("data.size=16", "data.views=5", "data.test=30", "probe.objects=30", "probe.seeds=1", "probe.permutations=20"),
    *("probe.reconstruct=2", "probe.show=1", "probe.samples=2", "probe.widths=[]", "probe.inputs=[whole]"),
    *("probe.targets=[count,redness]", "probe.controls=[rounded]", "probe.probes=[ridge]", "context=1..3"),
    "viewer=null",
]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scripts and configuration, with a file for the encoder and one for the control; the functions registered."""
    for script in ("train.py", "probe.py"):
        shutil.copy(ROOT / script, tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/model/encoder/patches.yaml").write_text(ENCODER)
    (tmp_path / "conf/probe/control/rounded.yaml").write_text(CONTROL)
    monkeypatch.chdir(tmp_path)
    core(own_parts.pointwise)
    target(own_parts.redness)
    transform(own_parts.rounded)
    study_figure("counts", "Drawn by a user.")(own_parts.own_figure)
    yield tmp_path
    del CORES["pointwise"], TARGETS["redness"], TRANSFORMS["rounded"], FIGURES["own-figure"]


@pytest.mark.slow
def test_parts_of_ones_own_are_trained_saved_loaded_studied_and_shown(checkout: Path) -> None:
    sizes = [setting for setting in TINY if not setting.startswith("model.encoder")]
    own = ["model/encoder=patches", "model.generator.core=pointwise", "trainer.max_steps=1", "logger.wandb=false"]
    own += ["callbacks.images=null", "callbacks.probes=null"]
    trained = call(str(checkout / "train.py"), *sizes, *own)
    assert trained.code == 0, trained.error
    weights = only_run("train") / "weights.safetensors"
    assert isinstance(load_gqn(weights).encoder, own_parts.Patches)
    studied = call(str(checkout / "probe.py"), *STUDY, f"checkpoint={weights}", "logger.wandb=false")
    assert studied.code == 0, studied.error
    study = only_run("probe") / "study"
    rows = read_table(study / "results.csv")
    assert {"none", "rounded"} <= {row["control"] for row in rows if row["target"] == "count"}
    assert {row["count"] for row in rows if row["target"] == "redness"} >= {"1", "2", "3"}
    assert (study / "figures" / "own-figure.png").is_file()
    page = (study / "report.html").read_text(encoding="utf-8")
    for shown in ("Drawn by a user.", "redness", "r rounded"):
        assert shown in page

"""Names of W&B artifacts."""

from pathlib import Path

import pytest

from gqn_probe import load_gqn
from gqn_probe.model import weights_fingerprint
from gqn_probe.pipeline.artifacts import network_name, study_artifact
from gqn_probe.run import job


def test_network_is_named_by_its_encoder_and_fingerprint():
    gqn = load_gqn("pretrained")
    assert network_name(gqn) == f"points-{weights_fingerprint(gqn)[:12]}"


@pytest.mark.parametrize(
    ("setting", "name"), [("", "my-study-12-00"), ("probe.inputs=[a,b]", "my-study-12-00-probe.inputs-a-b-")]
)
def test_study_is_named_in_the_characters_that_wandb_allows(monkeypatch, setting, name):
    root = Path("/home/my study/12-00")
    monkeypatch.setattr(job, "root_folder", lambda: root)
    assert study_artifact(root / setting) == ("study", name, root / setting / "study")

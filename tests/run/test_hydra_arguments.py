"""What a user may type reaches Hydra as it was meant."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gqn_probe.run.hydra_arguments import hydra_arguments


@pytest.mark.parametrize(
    "name",
    ["a=b/weights.safetensors", "run (1).ckpt", "x[0]", "für", "a,b", "it's", "back\\slash", "a\\'b", "{x}"],
)
@pytest.mark.parametrize("key", ["checkpoint", "++data.root", "hydra.run.dir"])
def test_a_path_may_hold_any_character(key, name):
    (argument,) = hydra_arguments([f"{key}={name}"])
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert not override.is_sweep_override()
    value = override.value()
    assert str(value) == name


def test_what_hydra_reads_as_it_stands_is_left_alone():
    same = ["-m", "seed=0,1", "checkpoint=pretrained", "report=null", "data.root=gs://gqn-dataset", "cache='a b'"]
    assert hydra_arguments(same) == same
    assert hydra_arguments(["hydra.run.dir=outputs/${name}/x y"]) == ["hydra.run.dir=outputs/${name}/x y"]


def test_a_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert hydra_arguments(["data.root=~/scenes"]) == ["data.root=/home/me/scenes"]


def test_several_checkpoints_are_swept_and_a_name_with_a_comma_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hydra_arguments(["-m", "checkpoint=a=1,b=2"]) == ["-m", "checkpoint='a=1','b=2'"]
    assert hydra_arguments(["-m", "checkpoint=glob(*)"]) == ["-m", "checkpoint=glob(*)"]
    Path("a,b").touch()
    assert hydra_arguments(["-m", "checkpoint=a,b"]) == ["-m", "checkpoint='a,b'"]


def test_short_forms():
    assert hydra_arguments(["experiment=null", "context=range(2,5)"]) == ["context='range(2,5)'"]
    assert hydra_arguments(["context=2,5", "seed=0,1"]) == ["context='2,5'", "seed=0,1"]
    assert hydra_arguments(["-m", "context=range(2,5)"]) == ["-m", "context=range(2,5)"]
    assert hydra_arguments(["seed=0", "-m", "context=2..3"]) == ["-m", "seed=0", "context=2..3"]
    assert hydra_arguments(["probe.probes=[linear]"]) == ["probe/probes=[linear]"]

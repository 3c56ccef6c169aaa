"""The page says what it is of, for every data set that can be studied."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from scripts import ROOT

from gqn_probe.report.sections import introduction
from gqn_probe.report.study_results import read_study


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("shepard_metzler", "rendered objects of 5 cubes"),
        ("shepard_metzler_4_to_8", "rendered objects of 4, 5, 6, 7, 8 cubes"),
        ("deepmind", "shepard_metzler_5_parts"),
        ("prepared", "/images"),
        ("own", "/images"),
    ],
)
def test_the_scenes_are_named_as_their_user_knows_them(data: str, told: str, bare_folder: Path):
    root = [] if data.startswith("shepard") else ["data.root=/images"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.to_container(compose("probe", [f"data={data}", *root]).data, resolve=False)
    study = replace(read_study(bare_folder), provenance={"config": {"data": config}})
    assert f"The scenes are the test split of {told}; the network was not trained on them." in introduction(study)


def test_a_data_set_of_the_users_own_is_named_by_its_class(bare_folder: Path):
    config = {"data": {"_target_": "gqn_probe.data.from_source", "source": "rooms.PaintedRooms"}}
    study = replace(read_study(bare_folder), provenance={"config": config})
    assert any("test split of PaintedRooms;" in said for said in introduction(study))

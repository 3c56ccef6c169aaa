"""Names of training runs; the data that a run needs."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from scripts import ROOT

from gqn_probe.run import job


@pytest.mark.parametrize(
    ("mode", "overrides", "name"),
    [
        (RunMode.RUN, ["seed=3", "training.learning_rate=1e-4"], "points seed=3"),
        (RunMode.RUN, ["experiment=reference"], "reference seed=0"),
        (RunMode.MULTIRUN, ["model=paper", "training.learning_rate=1e-4"], "paper learning_rate=1e-4 seed=0"),
        (RunMode.MULTIRUN, ["model/encoder=tower", "seed=1"], "points encoder=tower seed=1"),
    ],
)
def test_a_training_run_is_named_by_its_experiment_and_what_a_sweep_varies(monkeypatch, mode, overrides, name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides, return_hydra_config=True)
    cfg.hydra.mode = mode
    cfg.hydra.overrides.task = overrides
    monkeypatch.setattr(HydraConfig, "get", lambda: cfg.hydra)
    assert job.run_name(cfg.seed) == name


@pytest.mark.parametrize("script", ["train", "probe", "render"])
def test_data_without_scenes_are_refused(script):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(script, ["data=none"])
    with pytest.raises(ValueError, match=r"^data=none has no scenes .* with features=FILE$"):
        job.open_data(cfg.data)

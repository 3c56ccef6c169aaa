"""What a job checks of the processes around it."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from scripts import ROOT

from gqn_probe.run import job


@pytest.fixture
def torchrun(monkeypatch):
    """Two processes, of which this is the first."""
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (1, 2), ([0, 1], 1), ("auto", 1)])
def test_as_many_processes_as_devices_are_let_pass(torchrun, devices, nodes):
    job.check_world_size(DictConfig({"devices": devices, "num_nodes": nodes}))


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (4, 1), (2, 2)])
def test_another_number_is_refused_by_the_first_process(torchrun, devices, nodes):
    trainer = DictConfig({"devices": devices, "num_nodes": nodes})
    with pytest.raises(ValueError, match=r"give train\.py trainer\.devices=2 trainer\.num_nodes=1"):
        job.check_world_size(trainer)
    torchrun.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        job.check_world_size(trainer)


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

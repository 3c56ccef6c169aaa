"""The number of processes under torchrun is checked against that of the devices."""

import pytest
from omegaconf import DictConfig

from gqn_probe.run import devices as processes


@pytest.fixture
def torchrun(monkeypatch):
    """Two processes, of which this is the first."""
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (1, 2), ([0, 1], 1), ("auto", 1)])
def test_as_many_processes_as_devices_pass(torchrun, devices, nodes):
    processes.check_world_size(DictConfig({"devices": devices, "num_nodes": nodes}))


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (4, 1), (2, 2)])
def test_another_number_raises_in_the_first_process(torchrun, devices, nodes):
    trainer = DictConfig({"devices": devices, "num_nodes": nodes})
    with pytest.raises(ValueError, match=r"give train\.py trainer\.devices=2 trainer\.num_nodes=1"):
        processes.check_world_size(trainer)
    torchrun.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        processes.check_world_size(trainer)

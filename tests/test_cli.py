"""A user's mistake becomes one line."""

from unittest.mock import Mock

import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from gqn_probe import cli


def mistaken(cfg: DictConfig) -> None:
    try:
        raise ValueError("probe.seeds must be\nat least 1")
    except ValueError as error:
        raise InstantiationException("Error in call to target\nfull_key: probe") from error


def test_a_mistake_in_a_job_of_a_sweep_is_raised_in_one_line(monkeypatch):
    monkeypatch.setattr(cli, "in_sweep", lambda: True)
    with pytest.raises(ValueError, match=r"^probe.seeds must be at least 1$"):
        cli.report_user_errors(mistaken, DictConfig({}))


def test_a_mistake_in_a_single_run_ends_it_with_one_line(monkeypatch):
    monkeypatch.setattr(cli, "in_sweep", lambda: False)
    with pytest.raises(SystemExit, match=r"^error: probe.seeds must be at least 1$"):
        cli.report_user_errors(mistaken, DictConfig({}))


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(cli.sys, "argv", ["probe.py"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # launch sets it
    with pytest.raises(SystemExit) as ended:
        cli.launch(Mock(side_effect=KeyboardInterrupt))
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"

"""A W&B server that is there, and one that is not: found out without a wait, and without a process that never ends."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import wandb

from gqn_probe import wandb_status

NOBODY = "http://127.0.0.1:9"
JOB = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from gqn_probe.wandb_logging import loggers

logger = {"wandb": True, "mode": "auto", "project": "p", "entity": None, "group": "g", "tags": []}
with loggers(OmegaConf.create({"logger": logger}), Path(sys.argv[1]), job_type="count") as given:
    print("offline" if given[0].experiment.offline else "online")
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For what W&B reads of it; its settings are read anew in each test, and after it."""
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_server_that_refuses_answers(environment: pytest.MonkeyPatch):
    with HTTPServer(("127.0.0.1", 0), _Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        wandb_status.ask_server()
        server.shutdown()


def test_a_closed_port_is_named(environment: pytest.MonkeyPatch):
    environment.setenv("WANDB_BASE_URL", NOBODY)
    with pytest.raises(ConnectionError, match=rf"{NOBODY} does not answer: .*refused"):
        wandb_status.ask_server()


def test_a_silent_server_is_not_waited_for(environment: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        environment.setattr(wandb_status, "PATIENCE", 0.1)
        with pytest.raises(ConnectionError, match="does not answer: timed out"):
            wandb_status.ask_server()


def test_credentials_are_found_without_a_server(environment: pytest.MonkeyPatch, tmp_path: Path):
    environment.delenv("WANDB_MODE", raising=False)
    environment.setenv("WANDB_BASE_URL", NOBODY)
    environment.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_status.logged_in()
    environment.setenv("WANDB_API_KEY", "0" * 40)
    assert wandb_status.logged_in()


@pytest.mark.slow
def test_a_job_without_a_server_is_kept_offline_and_ends(tmp_path: Path):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    settings |= {"WANDB_BASE_URL": NOBODY, "WANDB_API_KEY": "0" * 40}
    command = [sys.executable, "-c", JOB, tmp_path]
    job = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120)
    assert job.stdout == "offline\n", job.stderr
    assert job.stderr.startswith(f"W&B runs are kept offline: {NOBODY} does not answer: ")
    assert len(job.stderr.splitlines()) == 1
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1

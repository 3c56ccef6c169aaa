"""A W&B server that is there, and one that is not; whatever becomes of it, a run ends well and in time."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from fake_wandb import fake_wandb

from gqn_probe.tracking import wandb_server

NOBODY = "http://127.0.0.1:9"
SHORT_OF_EVER = 900  # seconds: a job that waits for a server never ends, and one on a busy machine takes minutes
JOB = """
import json, os, signal, sys, urllib.request
from pathlib import Path
from omegaconf import OmegaConf
from gqn_probe.tracking import wandb_run

wandb_run.END_PATIENCE, wandb_run.GRACE = 2, 3
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
folder, after = Path(sys.argv[1]), sys.argv[2]
logger = {"wandb": True, "mode": "auto", "project": "p", "entity": None, "group": "g", "tags": []}

def signal_client(number):
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:  # of a process that has just ended
            continue
        if f"PPid:\\t{os.getpid()}\\n" in text and "wandb-core" in text:
            os.kill(int(status.parent.name), number)

with wandb_run.open_loggers(OmegaConf.create({"logger": logger}), folder, job_type="count") as given:
    print("offline" if given[0].experiment.offline else "online", flush=True)
    if after == "kill":
        signal_client(signal.SIGKILL)
    sys.stdin.readline()  # meanwhile the server changes
    for step in range(3):
        given[0].log_metrics({"loss": 1.0}, step)
    given[0].log_hyperparams({"a": 1})
    if after == "freeze":
        signal_client(signal.SIGSTOP)
    print("logged", flush=True)
print("done", flush=True)
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For what W&B reads of it; its settings are read anew in each test, and after it."""
    wandb.teardown()
    wandb_server._why_not.cache_clear()
    yield monkeypatch
    wandb_server._why_not.cache_clear()
    wandb.teardown()


@pytest.mark.parametrize("mode", ["works", "forbidden"])
def test_a_server_that_answers_is_asked_once(environment: pytest.MonkeyPatch, mode: str):
    with fake_wandb(mode) as server:
        environment.setenv("WANDB_BASE_URL", server.address)
        wandb_server.ask_server()
        wandb_server.ask_server()
        assert server.asked == 1


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("error", "answers 500 Internal Server Error"),
        ("{}", "is no W&B server: it answers {}"),
        ("[1]", r"is no W&B server: it answers \[1\]"),
        ("<html>Accept the terms</html>", "is no W&B server: it does not answer in JSON"),
    ],
)
def test_a_server_out_of_order_or_a_captive_portal_is_none(environment: pytest.MonkeyPatch, mode: str, why: str):
    with fake_wandb(mode) as server:
        environment.setenv("WANDB_BASE_URL", server.address)
        with pytest.raises(ConnectionError, match=f"{server.address} {why}"):
            wandb_server.ask_server()


def test_a_closed_port_is_named(environment: pytest.MonkeyPatch):
    environment.setenv("WANDB_BASE_URL", NOBODY)
    with pytest.raises(ConnectionError, match=rf"{NOBODY} does not answer: .*refused"):
        wandb_server.ask_server()


def test_a_silent_server_is_not_waited_for(environment: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        environment.setattr(wandb_server, "PATIENCE", 0.1)
        with pytest.raises(ConnectionError, match="does not answer: timed out"):
            wandb_server.ask_server()


def test_credentials_are_found_without_a_server(environment: pytest.MonkeyPatch, tmp_path: Path):
    environment.delenv("WANDB_MODE", raising=False)
    environment.setenv("WANDB_BASE_URL", NOBODY)
    environment.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_server.logged_in()
    environment.setenv("WANDB_API_KEY", "0" * 40)
    assert wandb_server.logged_in()


def _job(folder: Path, address: str, after: str = "") -> subprocess.Popen[str]:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    settings |= {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40}
    command = [sys.executable, "-c", JOB, folder, after]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=settings, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["refuses", "error", "{}"])
def test_a_job_without_a_server_is_kept_offline_and_ends(tmp_path: Path, mode: str):
    with fake_wandb(mode) as server:
        address = NOBODY if mode == "refuses" else server.address
        job = _job(tmp_path, address)
        out, told = job.communicate("\n", timeout=SHORT_OF_EVER)
    assert (job.returncode, out) == (0, "offline\nlogged\ndone\n"), told
    assert told.startswith(f"W&B runs are kept offline: {address} ")
    assert len(told.splitlines()) == 1
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("becomes", ["error", "hangs", "{}", "kill", "works"])
def test_whatever_becomes_of_the_server_the_run_ends_well(tmp_path: Path, becomes: str):
    with fake_wandb() as server:
        job = _job(tmp_path, server.address, after=becomes)
        assert job.stdout is not None
        assert job.stdout.readline() == "online\n"
        server.mode = "works" if becomes == "kill" else becomes
        out, told = job.communicate("\n", timeout=SHORT_OF_EVER)
    assert (job.returncode, out) == (0, "logged\ndone\n"), told
    assert "Traceback" not in told
    assert becomes == "{}" or len(told.splitlines()) <= 2, told  # of nonsense, the client's own process dies aloud
    if becomes in ("error", "hangs", "kill"):
        assert f"upload it with: wandb sync {tmp_path}/wandb/*run-*" in told
    assert len(list(tmp_path.glob("wandb/run-*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_client_that_hangs_is_not_waited_for_and_can_be_interrupted(tmp_path: Path, interrupted: bool):
    with fake_wandb() as server:
        job = _job(tmp_path, server.address, after="freeze")
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write("\n")
        job.stdin.flush()
        assert [job.stdout.readline() for _ in range(2)] == ["online\n", "logged\n"]
        if interrupted:
            job.send_signal(signal.SIGINT)
        out, told = job.communicate(timeout=SHORT_OF_EVER)
    assert (job.returncode, out) == ((-signal.SIGINT, "") if interrupted else (0, "done\n")), told
    reason = told.removeprefix("W&B did not receive all of this run (").partition(")")[0]
    reasons = {"its own process does not answer"} | ({"KeyboardInterrupt"} if interrupted else set())
    assert reason in reasons, told  # Ctrl-C may come just before the wait begins
    assert f"upload it with: wandb sync {tmp_path}/wandb/*run-*" in told

"""A folder belongs to one run."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripts import ENVIRONMENT

from gqn_probe.run.run_folder import _claimed, lock_folder, new_folder

APP = """
    import time
    import hydra
    from pathlib import Path
    from hydra.core.hydra_config import HydraConfig

    @hydra.main(version_base="1.3", config_path=None, config_name="app")
    def main(cfg):
        Path(HydraConfig.get().runtime.output_dir, "mine").write_text(str(cfg.x))
        time.sleep(cfg.seconds)

    main()
"""
CONFIG = """
    name: app
    x: 0
    seconds: 0
    hydra:
      run: {dir: outputs/now}
      sweep: {dir: outputs/now, subdir: "${hydra.job.num}"}
      callbacks:
        claim: {_target_: gqn_probe.run.run_folder.ClaimFolder}
"""


@pytest.fixture
def start(tmp_path: Path):
    """Starts a script whose default folder is the same for all of its runs."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "app.yaml").write_text(textwrap.dedent(CONFIG))

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "app.py", "--config-dir", ".", *arguments]
        return subprocess.Popen(
            command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return begin


@pytest.mark.slow
def test_runs_of_one_moment_have_folders_of_their_own(start, tmp_path):
    runs = [start("x=1"), start("x=2"), start("-m", "x=3,4")]
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], errors
    found = {path.read_text(): path.relative_to(tmp_path / "outputs").parts[0] for path in tmp_path.rglob("mine")}
    assert set(found) == {"1", "2", "3", "4"}
    assert {found["1"], found["2"], found["3"]} == {"now", "now-2", "now-3"}
    assert found["3"] == found["4"]


@pytest.mark.slow
def test_a_named_folder_that_is_in_use_is_refused_in_one_line(start, tmp_path):
    (tmp_path / "mine").mkdir()
    lock_folder(tmp_path / "mine")
    for arguments in (("hydra.run.dir=mine",), ("-m", "x=1,2", "hydra.sweep.dir=mine")):
        _, error = start(*arguments).communicate()
        assert error == "error: mine is in use by another run: wait for its end, or name another folder\n"
    lock_folder(tmp_path)  # a process claims one folder at a time
    assert start("hydra.run.dir=mine").communicate() == ("", "")


def test_threads_that_claim_at_once_get_different_folders(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(new_folder, [tmp_path / "a" / "b"] * 8))
    assert sorted(folder.name for folder in folders) == ["b", *(f"b-{number}" for number in range(2, 9))]


def test_processes_of_one_slurm_job_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("SLURM_PROCID", rank)
        assert _claimed(tmp_path / "2026-01-01" / f"12-00-0{rank}", named=False) == tmp_path / "slurm" / "17.0"


@pytest.mark.slow
def test_processes_of_torchrun_share_a_folder(start, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "app.py"]
    subprocess.run([*command, "--config-dir", "."], cwd=tmp_path, env=ENVIRONMENT | os.environ, check=True)
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["now"]

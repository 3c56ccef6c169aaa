"""What follows a sweep: a study for each setting, and an exit status that tells how it went."""

import itertools
import json
import os
import pickle
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from scripts import only_run
from test_scripts import place, study, trained  # noqa: F401  (fixtures)

from gqn_probe import progress
from gqn_probe.pipeline import open_inputs, study_run, sweep_callback
from gqn_probe.pipeline.sweep_callback import StudyAfterSweep, by_setting, jobs_of, run_study_of
from gqn_probe.run import job as job_module

MOMENTS = itertools.count(10**18, 10**9)  # of the clock, in ns: files made in a row may have one and the same
CHOICES = {"split": "test", "checkpoint": "pretrained", "cache": "cache", "probe": None}


def job(folder: Path, *overrides: str, context: str = "2..3") -> Path:
    """A folder as Hydra leaves it."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(list(overrides), folder / ".hydra" / "overrides.yaml")
    os.utime(folder / ".hydra" / "overrides.yaml", ns=(moment := next(MOMENTS), moment))
    OmegaConf.save({**CHOICES, "context": context, "seed": 0}, folder / ".hydra" / "config.yaml")
    return folder


@pytest.fixture
def finish(monkeypatch):
    """The end of a sweep in a folder."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # what it sets is unset again
    monkeypatch.setattr(sweep_callback, "configure_log", lambda config, verbose: None)

    def end(folder: Path) -> None:
        hydra = OmegaConf.structured(HydraConf)
        hydra.sweep.dir = str(folder)
        hydra.job_logging = {}
        hydra.sweeper = {}
        StudyAfterSweep().on_multirun_end(DictConfig({"hydra": hydra}))

    return end


@pytest.fixture
def two(tmp_path) -> Path:
    """A sweep over two settings."""
    for number in (0, 1):
        job(tmp_path / str(number), f"seed={number}")
    return tmp_path


def test_the_context_and_what_all_jobs_share_name_no_study(tmp_path):
    jobs = [job(tmp_path / str(k), f"checkpoint=/{'a' * 300}", f"++context={k}", "seed=1") for k in (2, 3, 10)]
    assert by_setting(jobs) == {"": jobs}


def test_a_study_is_named_by_what_settings_differ_in(tmp_path):
    jobs = [job(tmp_path / str(n), "data.size=16", f"checkpoint=a/{n // 2}", f"context={n % 2}") for n in range(4)]
    assert by_setting(jobs) == {"checkpoint=a-0": jobs[:2], "checkpoint=a-1": jobs[2:]}


def test_a_long_name_is_cut_and_stays_one_of_its_own(tmp_path):
    jobs = [job(tmp_path / str(n), f"checkpoint={'x' * 200}{n}") for n in range(2)]
    studies = by_setting(jobs)
    assert list(studies.values()) == [[folder] for folder in jobs]
    assert all(len(name) == 80 and name.endswith(f"x-{n}") for n, name in enumerate(studies))


def test_two_settings_never_share_a_name(tmp_path):
    jobs = [job(tmp_path / str(n), f"checkpoint={name}") for n, name in enumerate(("a/b", "a-b"))]
    assert by_setting(jobs) == {"checkpoint=a-b": jobs[:1], "checkpoint=a-b-1": jobs[1:]}


def test_a_name_needs_no_quotes(tmp_path):
    jobs = [job(tmp_path / str(n), f"checkpoint='für/{n}=(1)'", f"+data.parts=[4,{n}]") for n in range(2)]
    assert list(by_setting(jobs)) == [
        "data.parts=-4,0-,checkpoint=-f-r-0=-1-",
        "data.parts=-4,1-,checkpoint=-f-r-1=-1-",
    ]


def test_the_order_of_overrides_makes_no_setting(tmp_path):
    jobs = [job(tmp_path / "0", "seed=1", "x=2", "context=2"), job(tmp_path / "1", "context=3", "x=2", "seed=1")]
    assert by_setting(jobs) == {"": jobs}


def sweep_config(*overrides: str) -> DictConfig:
    return DictConfig({"hydra": {"overrides": {"task": list(overrides)}, "sweeper": {"ranges": ["context"]}}})


def test_jobs_may_lie_where_the_user_wants_them(tmp_path):
    jobs = [job(tmp_path / "by" / f"k{k}", f"context={k}") for k in (2, 3)]
    assert jobs_of(sweep_config("context=2..3"), tmp_path) == jobs


def test_jobs_of_an_earlier_sweep_are_left_out(tmp_path, caplog):
    earlier = [job(tmp_path / str(n), f"context={k}", "seed=1") for n, k in enumerate((5, 2, 3, 4))]
    again = job(tmp_path / "by" / "hand", "seed=1", "context=2")
    assert jobs_of(sweep_config("seed=1", "context=2..3"), tmp_path) == [earlier[2], again]
    assert [message.partition(" belongs")[0] for message in caplog.messages] == [str(earlier[0]), str(earlier[3])]


def test_a_job_whose_process_died_before_it_began_is_named(tmp_path, caplog):
    begun = job(tmp_path / "0", "context=2", "seed=1")
    assert jobs_of(sweep_config("seed=1", "context=2..3"), tmp_path) == [begun]
    assert caplog.messages == ["the job context=3 did not begin"]


def test_jobs_of_one_count_and_of_several_are_found_alike(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(job_module, "in_sweep", lambda: True)
    monkeypatch.setattr(job_module, "instantiate", lambda node: Mock(objects=3))
    monkeypatch.setattr(job_module, "setup_job", lambda seed: None)
    monkeypatch.setattr(open_inputs, "open_study_inputs", lambda cfg, objects: None)
    monkeypatch.setattr(study_run, "finish_study", lambda cfg, material, settings, jobs, folder: given.extend(jobs))
    several, one = job(tmp_path / "0", context="[2,3]"), job(tmp_path / "1", context="4")
    run_study_of([several, one], tmp_path)
    assert given == [several / "count-02", several / "count-03", one]


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("too\nfew"), "seed=0: too few\n"), (RuntimeError("no idea"), "RuntimeError: no idea\n")],
)
def test_a_study_that_fails_ends_the_sweep_so_but_not_the_other_studies(two, finish, monkeypatch, caplog, error, told):
    made = []

    def fails_first(jobs, folder):
        if not made:
            made.append("")
            raise error
        made.append(folder.name)

    monkeypatch.setattr(sweep_callback, "run_study_of", fails_first)
    with pytest.raises(SystemExit) as ended:
        finish(two)
    assert ended.value.code == 1
    assert made == ["", "seed=1"]
    assert told in caplog.text


def test_a_sweep_whose_jobs_cannot_be_found_fails(tmp_path, finish):
    with pytest.raises(SystemExit, match=r"error: no job left its configuration below .*; keep hydra\.output_subdir"):
        finish(tmp_path)


def test_it_can_be_sent_to_other_processes_while_its_bar_is_open(monkeypatch):
    monkeypatch.setattr(type(progress.DISPLAY.console), "is_terminal", property(lambda console: True))
    callback = StudyAfterSweep()
    hydra = {"overrides": {"task": ["context=2..3"]}, "sweeper": {"ranges": ["context"]}}
    callback.on_multirun_start(DictConfig({"hydra": hydra}))
    try:
        assert len(progress.DISPLAY.tasks) == 1
        sent = pickle.loads(pickle.dumps(callback))
        sent.on_job_end(DictConfig({}), None)
        assert progress.DISPLAY.tasks[0].completed == 0
    finally:
        callback.bar.close()


@pytest.mark.slow
def test_every_setting_has_its_study_when_a_job_does_all_counts(study):  # noqa: F811
    swept = study("-m", "probe.probes.linear.epochs=2,3", "context=[2,3]", "hydra.sweeper.ranges=[]")
    assert swept.code == 0, swept.error
    folder = only_run("probe")
    for epochs in (2, 3):
        summary = json.loads((folder / f"probe.probes.linear.epochs={epochs}" / "study" / "summary.json").read_text())
        assert summary["counts"] == [2, 3]
        assert summary["failed"] == []
        assert summary["settings"]["probes"]["linear"]["epochs"] == epochs


def test_analyses_of_a_sweep_have_no_study(two, finish, monkeypatch):
    monkeypatch.setattr(sweep_callback, "run_study_of", Mock(side_effect=AssertionError))
    for number in (0, 1):
        (two / str(number) / ".hydra" / "config.yaml").write_text("analysis: {objects: 3}\n")
    finish(two)

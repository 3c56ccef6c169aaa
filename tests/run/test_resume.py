"""A run that was killed goes on as if nothing had happened; one that is told to stop saves first."""

import json
import math
import signal
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from scripts import call
from tiny import TINY, rows, train

from gqn_probe.run.resume import ResumePoint, expand_resume, find_resume_point, finished_before, optimized_value

AVERAGE = [
    "+callbacks.average._target_=pytorch_lightning.callbacks.EMAWeightAveraging",
    "+callbacks.average.decay=0.9",
]


def interrupted(place: Path, step: int, number: signal.Signals) -> list[str]:
    """Overrides that send the signal to the run at the start of a step, once."""
    values = {"_target_": "interruptions.SignalAt", "step": step, "signal": int(number), "marker": place / "marker"}
    return [f"+callbacks.interruption.{key}={value}" for key, value in values.items()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run that nobody interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    result = train(run.parent, *TINY, *AVERAGE, f"hydra.run.dir={run}")
    assert result.returncode == 0, result.stderr
    return run


def assert_same(run: Path, whole: Path) -> None:
    assert rows(run) == rows(whole)
    ours, theirs = (torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (run, whole))
    for weights in ("state_dict", "current_model_state"):
        assert all(torch.equal(ours[weights][name], value) for name, value in theirs[weights].items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        (1, signal.SIGKILL, -signal.SIGKILL),  # before the first checkpoint
        (5, signal.SIGKILL, -signal.SIGKILL),  # in the middle of the second epoch
        (4, signal.SIGTERM, 128 + signal.SIGTERM),
        (4, signal.SIGINT, 128 + signal.SIGINT),
    ],
)
def test_an_interrupted_run_goes_on_to_the_last_bit(whole, tmp_path, step, number, code):
    first = train(
        tmp_path, *TINY, *AVERAGE, *interrupted(tmp_path, step, number), "hydra.run.dir=outputs/train/day/time"
    )
    run = tmp_path / "outputs" / "train" / "day" / "time"
    assert first.returncode == code
    if code > 0:
        assert (
            f"stopped by {number.name} after step {step + 1}; to continue: python train.py resume={run}" in first.stdout
        )
        assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == step + 1
    second = train(tmp_path, "resume=last")
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""
    assert_same(run, whole)
    hidden = [path for path in run.rglob(".*") if path.is_file() and "wandb" not in path.parts]  # W&B's ends by itself
    assert not hidden, "a temporary file was left"


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("train.py", *TINY, "trainer.max_steps=5", "hydra.run.dir=run").code == 0
    result = call("train.py", "resume=run", "trainer.max_steps=8")
    assert result.code == 0, result.error
    assert [row["step"] for row in rows(tmp_path / "run") if row["train/loss"]] == [str(step) for step in range(8)]
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["continued_from_step"] == 5


@pytest.fixture
def stored(tmp_path, monkeypatch) -> Path:
    """A folder that holds the configuration of a run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "train" / "day" / "time"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text("model: {generator: {steps: 4}}\nseed: 0\nresume: null\n")
    (folder / "metrics.csv").touch()
    return folder


def test_overrides_of_now_come_after_the_stored_configuration(stored):
    expected = [
        *("--config-path", str(stored / ".hydra"), "--config-name", "config"),
        *("--config-dir", str(Path(sys.argv[0]).resolve().parent / "conf"), "+hydra=default"),
        *("seed=3", f"resume={stored}", f"hydra.run.dir={stored}"),
    ]
    assert expand_resume(["resume=last", "seed=3"]) == expected
    assert expand_resume(["seed=3", "resume=outputs/train/day/time"]) == expected
    assert expand_resume(["++resume='last'", "seed=3", "resume=last"]) == expected
    assert expand_resume(["+resume=last", "seed=3"]) == expected
    assert expand_resume(["seed=3", "resume=null"]) == ["seed=3", "resume=null"]


def test_a_misspelt_optimized_metric_is_not_a_number_and_told(caplog):
    assert optimized_value({"val/kl": 2.0}, "val/kl") == 2
    assert math.isnan(optimized_value({"val/kl": 2.0}, "val/kll"))
    assert caplog.messages == ["optimized_metric=val/kll was not measured: did you mean val/kl? metrics.csv lists all"]


def test_a_run_is_not_overwritten_by_a_new_one(stored, monkeypatch):
    monkeypatch.setattr("gqn_probe.run.resume.in_sweep", lambda: False)
    assert find_resume_point(stored, None) == ResumePoint()
    (stored / "weights.safetensors").touch()
    with pytest.raises(ValueError, match=f"^{stored} holds a run: continue it with resume={stored}"):
        find_resume_point(stored, None)
    monkeypatch.setenv("LOCAL_RANK", "1")  # a further device of a run that has begun
    assert find_resume_point(stored, None) == ResumePoint()


def test_a_sweep_that_is_started_again_leaves_finished_jobs(stored, monkeypatch):
    cfg = OmegaConf.create({"seed": 1, "optimized_metric": "val/loss"})
    record = {"config": OmegaConf.to_container(cfg), "last_validation": {"val/loss": 3.0}}
    (stored / "provenance.json").write_text(json.dumps(record))
    (stored / "weights.safetensors").touch()
    monkeypatch.setattr("gqn_probe.run.resume.in_sweep", lambda: False)
    assert finished_before(stored, cfg) is None
    monkeypatch.setattr("gqn_probe.run.resume.in_sweep", lambda: True)
    assert finished_before(stored, cfg) == 3.0
    assert find_resume_point(stored, None) == ResumePoint()
    with pytest.raises(ValueError, match="holds a run of other settings"):
        finished_before(stored, OmegaConf.create({**cfg, "seed": 2}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=elsewhere"], "resume=elsewhere is not an output folder of train.py"),
        (["-m", "resume=last", "seed=1,2"], "resume=last continues one run: leave out -m"),
        (["resume=last", "model=paper"], "model=paper: a continued run keeps its model"),
        (["resume=last", "++model=paper"], "model=paper: a continued run keeps its model"),
        (["resume=last", "resume=null"], "resume=last and resume=null: give one of them"),
    ],
)
def test_what_cannot_be_continued_is_said(stored, arguments, message):
    with pytest.raises(ValueError, match=message):
        expand_resume(arguments)


def test_a_resume_that_came_by_another_way_does_not_start_afresh(stored):
    assert find_resume_point(stored, "last") == ResumePoint()  # it did not come as far as a checkpoint
    assert find_resume_point(stored.parent / "new", None) == ResumePoint()
    with pytest.raises(ValueError, match=r"resume=last continues in that folder, not in .*new: give it on the command"):
        find_resume_point(stored.parent / "new", "last")


def test_nothing_to_continue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="resume=last: there is no run under outputs/train"):
        expand_resume(["resume=last"])


def test_a_checkpoint_that_is_cut_or_damaged_or_of_something_else_is_refused_in_one_line(stored, tmp_path):
    from tiny import tiny_module

    checkpoint = stored / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    gqn = tiny_module().gqn
    state = {f"gqn.{name}": value for name, value in gqn.state_dict().items()}
    torch.save({"state_dict": state, "gqn_settings": gqn.settings(), "optimizer": torch.ones(999)}, checkpoint)
    whole = checkpoint.read_bytes()
    flipped = whole.replace(torch.ones(9).numpy().tobytes(), torch.zeros(9).numpy().tobytes(), 1)
    for content, reason in (
        (whole[:-1000], "is not a checkpoint that can be read"),
        (flipped, "has another checksum than was noted|Bad CRC-32"),
        (whole, "is no checkpoint of train.py: it has no global_step"),
    ):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^[^\n]*last\.ckpt [^\n]*({reason})[^\n]*$"):
            find_resume_point(stored, "last")

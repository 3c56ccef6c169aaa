"""Both scripts end to end, at the smallest size that exercises everything."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripts import ENVIRONMENT, ROOT, Finished, call, only_run

from gqn_probe import load_gqn
from gqn_probe.data import render_scenes
from gqn_probe.model import weights_fingerprint

SCENES = ["data.size=16", "data.views=7", "data.train=24", "data.val=8", "data.test=30"]
TRAINING = [
    *SCENES,
    "data.batch_size=8",
    "model.generator.size=16",
    "model.generator.steps=2",
    "model.encoder.points=16",
    "training.context=[1,3]",
    "training.queries=2",
    "training.validation_counts=[1,3]",
    "training.reference_count=3",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "trainer.precision=32-true",
]
STUDY = [
    *SCENES,
    "probe.objects=30",
    "probe.seeds=2",
    "probe.reconstruct=4",
    "probe.show=2",
    "probe.permutations=20",
    *("viewer.objects=1", "viewer.counts=[1]", "viewer.azimuths=2", "viewer.samples=1"),
    "probe.controls=[repeated]",
    "probe.probes.linear.epochs=3",
    *(f"probe.probes.{name}=null" for name in ("mlp", "ridge", "knn")),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """The output folder of one tiny training run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        result = call("train.py", *TRAINING)
        assert result.code == 0, result.error
        return only_run("train")


@pytest.fixture
def study(trained, tmp_path, monkeypatch):
    """``probe.py`` on the trained network, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def probe(*arguments: str) -> Finished:
        # Hydra's own options come first on its command line.
        options = [argument for argument in arguments if argument.startswith("-")]
        overrides = [argument for argument in arguments if not argument.startswith("-")]
        return call("probe.py", *options, *STUDY, f"checkpoint={trained / 'weights.safetensors'}", *overrides)

    return probe


@pytest.mark.slow
def test_a_study_of_photographs_ends_in_a_report(trained, tmp_path, monkeypatch):
    """No sides are known but those of the images, and nothing of the objects."""
    monkeypatch.chdir(tmp_path)
    scenes, rows = render_scenes(12, views=5, size=16), ["scene;image;x;y;z;yaw;pitch"]
    for scene, (frames, cameras) in enumerate(zip(scenes.frames, scenes.cameras.tolist(), strict=True)):
        for view, frame in enumerate(frames):
            name = f"{scene}-{view}.png"
            Image.fromarray(frame.permute(1, 2, 0).numpy()).save(tmp_path / name)
            rows.append(";".join([str(scene), name, *(str(number).replace(".", ",") for number in cameras[view])]))
    (tmp_path / "cameras.csv").write_text("\n".join(rows))
    data = ["data=own", f"data.root={tmp_path}", "split=all", f"checkpoint={trained / 'weights.safetensors'}"]
    result = call("probe.py", "context=2,3", *data, *STUDY[len(SCENES) :], "viewer.samples=2")
    assert result.code == 0, result.error
    assert "Can the count be decoded?" in result.output
    assert (only_run("probe") / "study" / "report.html").is_file()


@pytest.mark.slow
def test_training_leaves_what_it_should(trained):
    for name in ["checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", ".hydra/config.yaml"]:
        assert (trained / name).is_file(), name
    assert len(list((trained / "images").glob("*.png"))) == 2
    record = json.loads((trained / "provenance.json").read_text())
    assert {"revision", "versions", "config", "data", "command"} <= set(record)
    assert record["metrics"]["val/sample/rmse"] > 0
    assert "val/shuffled/color_cosine" in record["metrics"]


@pytest.mark.slow
def test_exported_weights_are_the_best_checkpoint(trained):
    exported = load_gqn(trained / "weights.safetensors").state_dict()
    best = load_gqn(trained / "checkpoints" / "best.ckpt").state_dict()
    assert exported.keys() == best.keys()
    assert all(np.array_equal(exported[name], best[name]) for name in best)


@pytest.mark.slow
def test_training_starts_from_initial_weights_and_goes_on_from_its_own(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    initial = Path(shutil.copy(trained / "weights.safetensors", tmp_path))
    frozen = ["training.learning_rate=0", "trainer.max_steps=1", "callbacks.probes=null"]  # a step that changes nothing
    result = call("train.py", *TRAINING, *frozen, f"initial_weights={initial}")
    assert result.code == 0, result.error
    expected = weights_fingerprint(load_gqn(initial))
    initial.unlink()
    assert weights_fingerprint(load_gqn(only_run("train") / "weights.safetensors")) == expected
    result = call("train.py", "resume=last", "trainer.max_steps=2")
    assert result.code == 0, result.error
    assert weights_fingerprint(load_gqn(only_run("train") / "weights.safetensors")) == expected


@pytest.mark.slow
def test_initial_weights_of_another_network_are_refused_in_one_line(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = trained / "weights.safetensors"
    result = call("train.py", *TRAINING, f"initial_weights={weights}", "model.encoder.channels=16")
    assert result.code == 1
    assert result.error.startswith(f"error: {weights} does not fit the model; ")
    assert "encoder.reader.code.weight (64, 35) instead of (64, 19)" in result.error
    assert result.error.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_and_one_process_agree_to_the_last_digit(study, tmp_path):
    assert study("context=2..4").code == 0
    once = only_run("probe")
    once.rename(tmp_path / "once")
    swept = study("-m", "context=2..4")
    assert swept.code == 0, swept.error
    sweep = only_run("probe")
    for name in ["results.csv", "curves.csv", "confusion.csv", "similarity.csv"]:
        assert (sweep / "study" / name).read_text() == (tmp_path / "once" / "study" / name).read_text(), name
    assert (sweep / "study" / "report.html").stat().st_size > 10_000
    assert {"accuracy-by-count.png", "model-accuracy.png", "model-loss.png"} <= {
        path.name for path in (sweep / "study" / "figures").iterdir()
    }
    assert "answer" in json.loads((sweep / "study" / "summary.json").read_text())


@pytest.mark.slow
def test_jobs_in_processes_of_their_own_write_the_same_bytes(study, trained):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    shared = ["data.test=260", "probe.objects=260", "context=2,3", "~hydra.callbacks.study"]  # two blocks of features
    shared += ["probe.samples=2", "probe.reconstruct=2", "logger.wandb=false"]
    assert study("-m", *shared, "hydra.sweep.dir=here", "cache=cache-here").code == 0
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=there", "cache=cache-there"]
    command = [sys.executable, str(ROOT / "probe.py"), "-m", *STUDY, f"checkpoint={trained / 'weights.safetensors'}"]
    subprocess.run([*command, *shared, *launcher], env=ENVIRONMENT, check=True, capture_output=True, timeout=900)
    names = ["job.json", "representation.safetensors", "reconstruction.csv", "reconstructions.npz"]
    assert all(Path("here", job, n).read_bytes() == Path("there", job, n).read_bytes() for job in "01" for n in names)
    features = sorted(path.relative_to("cache-here") for path in Path("cache-here").rglob("*.npy"))
    assert len(features) == 2
    assert all(Path("cache-there", path).read_bytes() == Path("cache-here", path).read_bytes() for path in features)


@pytest.mark.slow
def test_a_job_that_fails_is_named_and_the_study_runs_on_the_rest(study):
    result = study("-m", "context=2,3,16")
    assert result.code == 1
    assert "context=16 failed: context=16 is out of range" in result.error
    summary = json.loads((only_run("probe") / "study" / "summary.json").read_text())
    assert summary["counts"] == [2, 3]
    assert len(summary["failed"]) == 1


@pytest.mark.slow
def test_a_report_is_rebuilt_from_result_files_alone(study):
    assert study("context=2..3").code == 0
    folder = only_run("probe")
    page = folder / "study" / "report.html"
    before = page.read_text()
    page.unlink()
    kept = {path for path in folder.rglob("*") if path.is_file()}
    settings = (folder / ".hydra" / "config.yaml").read_text()
    assert call("probe.py", f"report={folder}").code == 0
    assert page.read_text() == before
    assert only_run("probe") == folder  # drawing leaves no run of its own
    assert {path for path in folder.rglob("*") if path.is_file()} == {*kept, page}
    assert (folder / ".hydra" / "config.yaml").read_text() == settings


@pytest.mark.slow
def test_a_count_beyond_the_views_is_one_line(study):
    result = study("context=16")
    message = "error: context=16 is out of range: these scenes have 7 usable views; use counts in 1..7\n"
    assert (result.code, result.error) == (1, message)


MISTAKES = [
    (["contxt=3"], "there is no setting 'contxt'; did you mean context? "),
    (["data=shepard"], "there is no data=shepard; did you mean shepard_metzler? use "),
    (["-m", "context=abc"], "context=abc: 'abc' is not a context count"),
    (["probe.controls=norm"], "probe.controls=norm is not a list: write probe.controls=[norm]"),
    (["context=abc"], "'abc' is not a context count; write a count such as 7"),
    (["context=15..2"], "'15..2' runs backwards or stands still; write a count such as 7"),
    (["probe.objcts=3"], "there is no setting 'probe.objcts'; did you mean probe.objects? "),
    (["probe.probes=[liner]"], "there is no probe/probes=liner; did you mean linear? use knn, "),
    (["experiment=paper"], "experiment=paper sets 'model', which probe.py does not have: "),
    (["data.size=sixty"], "data.size=sixty must be a number, such as 64"),
    (["logger.wandb=flase"], "logger.wandb=flase must be true or false"),
    (["seed=abc"], "seed=abc must be a whole number, 0 or more"),
    (["context=3", "cache=/dev/null"], "/dev/null/"),
    (["report=nowhere"], "report=nowhere is not a folder: give the one that probe.py wrote"),
    (["-m", "report=7"], "report= draws one report again: leave -m out"),
    (["checkpoint=nowhere.ckpt"], "no checkpoint at nowhere.ckpt: "),
    ([f"checkpoint={ROOT / 'README.md'}"], ""),
    (["probe.controls=[nrm]"], "no control nrm; did you mean norm? there are "),
    (["probe.protocol=orig"], "probe.protocol=orig is not known: did you mean original? "),
    (["split=validation"], "split=validation is not known: use train, val, test or all"),
    (["device=gpu"], "device=gpu is not known: use auto, cpu, cuda or cuda:N"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_users_mistake_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("probe.py", *STUDY, *arguments)
    assert result.code == 1
    assert result.error.startswith(f"error: {message}")
    assert result.error.count("\n") == 1


def test_a_data_folder_that_is_not_named_is_one_line():
    result = call("probe.py", "data=deepmind")
    assert (result.code, result.error) == (1, "error: data.root is missing: add data.root=...\n")

"""Everything runs on a GPU, whose place a pretended one takes: nothing is mixed with what is left on the CPU."""

import csv
import json
from pathlib import Path

import pytest
import pytorch_lightning as L
import torch
from fitting import fit
from pretend_gpu import OnGPU, pretended_gpu
from scripts import call, only_run
from test_scripts import STUDY, TRAINING, place, trained  # noqa: F401  (fixtures)
from tiny import tiny_module

from gqn_probe import load_gqn
from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.training import best_weights
from gqn_probe.types import Lens

ON_GPU = {"accelerator": "gpu", "devices": [1]}


def test_the_pretended_gpu_refuses_what_a_real_one_does():
    with pretended_gpu() as gpu:
        there = torch.ones(3, device=gpu)
        assert (there * 2).device == gpu
        assert (there * 2).sum().item() == 6
        assert there.cpu().numpy().sum() == 3
        with pytest.raises(RuntimeError, match="same device"):
            _ = there + torch.ones(3)
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(3)[torch.zeros(1, dtype=torch.long, device=gpu)]
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
        with pytest.raises(RuntimeError, match="cuda:1 was chosen"):
            torch.ones(3, device="cuda:0")
    assert not torch.cuda.is_available()


@pytest.mark.slow
def test_the_network_computes_what_it_computes_on_the_cpu():
    scenes, gqn = render_scenes(2, views=4, size=16), tiny_module().gqn
    frames, cameras = scenes.frames / 255, encode_cameras(scenes.cameras)

    def steps(network, frames, cameras):
        torch.manual_seed(0)
        out = network(frames[:, :3], cameras[:, :3], frames[:, 3], cameras[:, 3])
        (out.kl.mean() + out.mean.square().mean()).backward()
        sample = network.sample(frames[:, :3], cameras[:, :3], cameras[:, 3])
        return [out.mean, out.representation, out.kl, sample, *(each.grad for each in network.parameters())]

    expected = [each.detach().clone() for each in steps(gqn, frames, cameras)]
    gqn.zero_grad(set_to_none=True)
    with pretended_gpu() as gpu:
        there = steps(gqn.to(gpu), frames.to(gpu), cameras.to(gpu))
        assert all(isinstance(each, OnGPU) for each in there)
        for ours, theirs in zip(there, expected, strict=True):
            torch.testing.assert_close(ours.detach().cpu(), theirs)


@pytest.mark.parametrize(
    "settings",
    [{}, {"background": "gradient"}, {"parts": [4, 7], "lens": Lens("perspective", 0.35)}],
    ids=["plain", "gradient", "perspective"],
)
def test_scenes_are_rendered_where_asked(settings):
    expected = render_scenes(3, views=2, size=16, **settings)
    with pretended_gpu() as gpu:
        scenes = render_scenes(3, views=2, size=16, device=str(gpu), **settings)
    assert torch.equal(scenes.frames, expected.frames)


class Devices(L.Callback):
    """Where the metrics of a validation are, by name."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seen = {name: value.device for name, value in trainer.callback_metrics.items()}


def noted(script: str) -> str:
    """The device in the provenance of the one run there was."""
    (record,) = only_run(script).rglob("provenance.json")
    return json.loads(record.read_text())["device"]


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
@pytest.mark.slow
def test_validation_is_on_the_gpu_and_so_is_the_film(tmp_path, monkeypatch):
    films = []
    monkeypatch.setattr(
        best_weights, "save_orbit_film", lambda trainer, gqn, *rest: films.append(next(gqn.parameters()).device)
    )
    devices, module = Devices(), tiny_module()
    with pretended_gpu() as gpu:
        trainer = fit(module, tmp_path / "cache", "data.num_workers=0", callbacks=[devices], **ON_GPU)
        assert {"val/sigma", "val/kl", "val/kl_step/0", "val/sample/rmse"} <= devices.seen.keys()
        assert {name: where for name, where in devices.seen.items() if where != gpu} == {}  # NCCL takes no others
        best_weights.export_best_weights(trainer, module, trainer.datamodule, tmp_path)  # pyright: ignore[reportAttributeAccessIssue]
    assert films == [gpu]
    assert not any(isinstance(each, OnGPU) for each in load_gqn(tmp_path / "weights.safetensors").parameters())


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
@pytest.mark.slow
def test_mixed_precision_with_scaled_gradients_is_refused(tmp_path):
    with pretended_gpu(), pytest.raises(ValueError, match=r"precision=16-mixed .*: use trainer.precision=bf16-mixed"):
        fit(tiny_module(), tmp_path / "cache", precision="16-mixed", **ON_GPU)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
@pytest.mark.parametrize("more", [[], ["data=shepard_metzler_online", "data.num_workers=0"]])
def test_a_network_is_trained_on_the_gpu(more, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pretended_gpu():
        result = call("train.py", *more, *TRAINING, "trainer.accelerator=gpu", "trainer.devices=[1]")
        assert result.code == 0, result.error
    assert noted("train") == "cuda:1 (pretended)"
    gqn = load_gqn(only_run("train") / "weights.safetensors")
    assert not any(isinstance(each, OnGPU) for each in gqn.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GPU available but not used")
def test_the_study_is_the_same_on_the_gpu(trained, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    arguments = [*STUDY, f"checkpoint={trained / 'weights.safetensors'}", "context=2..3"]
    with pretended_gpu():
        assert call("probe.py", *arguments, "device=cpu").code == 0
    assert noted("probe") == "cpu"
    only_run("probe").rename("cpu")
    with pretended_gpu() as gpu:
        result = call("probe.py", *arguments, f"device={gpu}")
        assert result.code == 0, result.error
    assert noted("probe") == "cuda:1 (pretended)"
    for name in ["results.csv", "curves.csv", "confusion.csv"]:
        there, here = (cells(folder / "study" / name) for folder in (only_run("probe"), tmp_path / "cpu"))
        # Attention is fused on the CPU alone, which rounds otherwise.
        assert there == [
            pytest.approx(each, rel=1e-4, abs=1e-6, nan_ok=True) if isinstance(each, float) else each for each in here
        ]


def cells(path: Path) -> list[float | str]:
    """Every cell of a table, numbers as such."""

    def read(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    with path.open(newline="") as file:
        return [read(text) for row in csv.reader(file) for text in row]

"""Files that hold a GQN: round trips are exact, and nothing else is taken for one."""

import pickle
from pathlib import Path

import pytest
import torch

from gqn_probe.model import GQN, checkpoint, load_gqn, save_weights, weights_fingerprint, weights_path


def equal(one: GQN, other: GQN) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_round_trip(tmp_path: Path, points_gqn: GQN) -> None:
    save_weights(points_gqn, tmp_path / "weights.safetensors", metadata={"git": "abc"})
    loaded = load_gqn(tmp_path / "weights.safetensors")
    assert equal(points_gqn, loaded)
    assert loaded.settings() == points_gqn.settings()
    assert weights_fingerprint(loaded) == weights_fingerprint(points_gqn)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_lightning_checkpoint(tmp_path: Path, points_gqn: GQN) -> None:
    state = {f"gqn.{name}": value for name, value in points_gqn.state_dict().items()}
    content = {"state_dict": state | {"metric": torch.zeros(1)}, "gqn_settings": points_gqn.settings(), "epoch": 3}
    torch.save(content, tmp_path / "last.ckpt")
    loaded = load_gqn(tmp_path / "last.ckpt")
    assert equal(points_gqn, loaded)
    assert not loaded.training
    with pytest.raises(ValueError, match="steps=5"):
        load_gqn(tmp_path / "last.ckpt", steps=5)


def test_fingerprint_tells_weights_apart(points_gqn: GQN) -> None:
    before = weights_fingerprint(points_gqn)
    with torch.no_grad():
        next(points_gqn.parameters()).view(-1)[0] += 1e-6
    assert weights_fingerprint(points_gqn) != before


class Mischief:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("ran"),)


def test_no_code_from_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Mischief()}, "evil.ckpt")
    Path("evil.pth").write_bytes(pickle.dumps(Mischief(), protocol=2))
    for name in ("evil.ckpt", "evil.pth"):
        with pytest.raises(ValueError, match="which is not data: do not trust this file"):
            load_gqn(name)
    assert not Path("ran").exists()


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path, points_gqn: GQN) -> None:
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "text.safetensors").write_text("not one either")
    torch.save({"epoch": 3}, tmp_path / "other.ckpt")
    for name, reason in (
        ("absent.ckpt", "no checkpoint at"),
        ("text.pth", "not a checkpoint"),
        ("text.safetensors", "not a safetensors file"),
        ("other.ckpt", "neither a checkpoint"),
    ):
        with pytest.raises(ValueError, match=reason):
            load_gqn(tmp_path / name)
    settings = points_gqn.settings()
    for wrong, reason in (
        ({**settings, "class": "os.system"}, "os.system"),
        ({**settings, "aggregation": "product"}, "product"),
        ({**settings, "depth": 3}, "depth"),
    ):
        torch.save({"gqn_settings": wrong, "state_dict": {}}, tmp_path / "wrong.ckpt")
        with pytest.raises(ValueError, match=reason):
            load_gqn(tmp_path / "wrong.ckpt")


def test_absent_bundled_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PRETRAINED", tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no bundled weights"):
        load_gqn("pretrained")


def test_bundled_weights() -> None:
    assert weights_path("pretrained").stat().st_size < 16e6
    assert load_gqn("pretrained").encoder.camera_channels == 7

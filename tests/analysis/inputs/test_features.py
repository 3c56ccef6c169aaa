"""Every view is encoded once, rightly, and found again."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from gqn_probe.analysis.inputs import features
from gqn_probe.analysis.inputs.readouts import read_views, readout_names
from gqn_probe.analysis.inputs.study_inputs import Material
from gqn_probe.analysis.inputs.view_selection import nested, sum_views
from gqn_probe.types import to_unit


def test_sum_of_features_is_the_representation(material: Material) -> None:
    selection = nested(24, 6, 4, seed=0)
    scene = torch.arange(24)[:, None]
    frames = to_unit(material.scenes.frames[scene, selection.views])
    cameras = material.encode_cameras(material.scenes.cameras)[scene, selection.views]
    with torch.no_grad():
        expected = material.gqn.aggregate(material.gqn.encode(frames, cameras))
    maps = material.features(("representation",))["representation"]
    torch.testing.assert_close(sum_views(maps, selection), expected, atol=1e-5, rtol=1e-4)
    pooled = sum_views(material.features(("pooled",))["pooled"], selection)
    torch.testing.assert_close(pooled, expected.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)


def test_encoded_once(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(wraps=features.read_views)
    monkeypatch.setattr(features, "read_views", read)
    first = material.features(("pooled", "pixels"))["pooled"].clone()
    done = read.call_count
    (home,) = material.cache.iterdir()
    assert {path.name for path in home.iterdir()} == {"pooled.npy", "pixels.npy", "lock"}
    assert torch.equal(material.features(("pooled",))["pooled"], first)
    assert done > 0
    assert read.call_count == done


def test_a_gpu_would_encode_in_true_fp32(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []

    def read(*arguments):
        allowed.append(torch.backends.cudnn.allow_tf32)
        return read_views(*arguments)

    monkeypatch.setattr(features, "read_views", read)
    material.features(("pooled",))
    assert allowed
    assert not any(allowed)
    assert torch.backends.cudnn.allow_tf32


def test_what_a_killed_process_left_is_removed(material: Material) -> None:
    material.features(("pooled",))
    (home,) = material.cache.iterdir()
    (home / ".pixels.123.draft.npy").touch()
    material.features(("pixels",))
    assert {path.name for path in home.iterdir()} == {"pooled.npy", "pixels.npy", "lock"}


def test_other_weights_and_scenes_have_other_features(material: Material) -> None:
    before = material.features(("pooled",))["pooled"].clone()
    other = material.untrained(1)
    assert not torch.allclose(other.features(("pooled",))["pooled"], before)
    fewer = replace(material, scenes=material.scenes[:3]).features(("pooled",))["pooled"]
    torch.testing.assert_close(fewer, before[:3])


def test_untrained_is_decided_by_its_seed(material: Material) -> None:
    one, same, other = (material.untrained(seed).gqn.encoder.conv1.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_unknown_readout_lists_those_there_are(material: Material) -> None:
    with pytest.raises(ValueError, match=r"no read-out 'poled'; there are pooled, .*layer\.conv8"):
        material.features(("poled",))


def test_every_readout_can_be_read(material: Material) -> None:
    names = readout_names(material.gqn)
    found = material.features(names)
    assert all(found[name].shape[:2] == (24, 6) for name in names)
    assert all(found[name].isfinite().all() for name in names)

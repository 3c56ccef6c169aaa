"""Every view is encoded once, rightly, and found again."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

import errno
import os
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from filelock import FileLock

from gqn_probe.analysis.inputs import features
from gqn_probe.analysis.inputs.readouts import read_views, readout_names
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested, sum_views
from gqn_probe.types import to_unit

FILES = {"pooled.npy", "pooled.crc32", "pixels.npy", "pixels.crc32", "scenes.json", "lock"}


def test_sum_of_features_is_the_representation(study_inputs: StudyInputs) -> None:
    selection = nested(24, 6, 4, seed=0)
    scene = torch.arange(24)[:, None]
    frames = to_unit(study_inputs.scenes.frames[scene, selection.views])
    cameras = study_inputs.encode_cameras(study_inputs.scenes.cameras)[scene, selection.views]
    with torch.no_grad():
        expected = study_inputs.gqn.aggregate(study_inputs.gqn.encode(frames, cameras))
    maps = study_inputs.features(("representation",))["representation"]
    torch.testing.assert_close(sum_views(maps, selection), expected, atol=1e-5, rtol=1e-4)
    pooled = sum_views(study_inputs.features(("pooled",))["pooled"], selection)
    torch.testing.assert_close(pooled, expected.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)


def test_encoded_once(study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(wraps=features.read_views)
    monkeypatch.setattr(features, "read_views", read)
    first = study_inputs.features(("pooled", "pixels"))["pooled"].clone()
    done = read.call_count
    (home,) = study_inputs.cache.iterdir()
    assert {path.name for path in home.iterdir()} == FILES
    assert torch.equal(study_inputs.features(("pooled",))["pooled"], first)
    assert done > 0
    assert read.call_count == done


def test_a_gpu_would_encode_in_true_fp32(study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []

    def read(*arguments):
        allowed.append(torch.backends.cudnn.allow_tf32)
        return read_views(*arguments)

    monkeypatch.setattr(features, "read_views", read)
    study_inputs.features(("pooled",))
    assert allowed
    assert not any(allowed)
    assert torch.backends.cudnn.allow_tf32


def test_what_a_killed_process_left_is_removed(study_inputs: StudyInputs) -> None:
    study_inputs.features(("pooled",))
    (home,) = study_inputs.cache.iterdir()
    (home / ".pixels.123.draft.npy").touch()
    study_inputs.features(("pixels",))
    assert {path.name for path in home.iterdir()} == FILES


def test_other_weights_and_scenes_have_other_features(study_inputs: StudyInputs) -> None:
    before = study_inputs.features(("pooled",))["pooled"].clone()
    other = study_inputs.untrained(1)
    assert not torch.allclose(other.features(("pooled",))["pooled"], before)
    fewer = replace(study_inputs, scenes=study_inputs.scenes[:3]).features(("pooled",))["pooled"]
    torch.testing.assert_close(fewer, before[:3])


def test_untrained_is_decided_by_its_seed(study_inputs: StudyInputs) -> None:
    one, same, other = (study_inputs.untrained(seed).gqn.encoder.conv1.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_unknown_readout_lists_those_there_are(study_inputs: StudyInputs) -> None:
    with pytest.raises(ValueError, match=r"no read-out 'poled'; did you mean pooled\? .*layer\.conv8"):
        study_inputs.features(("poled",))


def test_every_readout_can_be_read(study_inputs: StudyInputs) -> None:
    names = readout_names(study_inputs.gqn)
    found = study_inputs.features(names)
    assert all(found[name].shape[:2] == (24, 6) for name in names)
    assert all(found[name].isfinite().all() for name in names)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "no checksum"])
def test_a_damaged_cache_is_made_again_with_one_warning(
    study_inputs: StudyInputs, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = study_inputs.features(("pooled",))["pooled"].clone()
    (path,) = study_inputs.cache.glob("*/pooled.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    monkeypatch.setattr(features, "VERIFIED", set())  # another process
    if damage == "no checksum":
        path.with_suffix(".crc32").unlink()
    else:
        path.write_bytes({"flipped": bytes(content), "cut": bytes(content[:200]), "empty": b""}[damage])
    assert torch.equal(study_inputs.features(("pooled",))["pooled"], right)
    assert [record.message for record in caplog.records] == [f"{path} is damaged, and is made again"]
    study_inputs.features(("pooled",))
    assert len(caplog.records) == 1


def test_no_space_is_told_before_a_mapped_file_is_written(
    study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        study_inputs.features(("pooled",))
    (home,) = study_inputs.cache.iterdir()
    assert raised.value.filename == str(home)
    assert {path.name for path in home.iterdir()} == {"lock", "scenes.json"}


HOLD = "import filelock, sys, time\nfilelock.FileLock(sys.argv[1]).acquire(); print(1, flush=True); time.sleep(600)"


def test_the_block_of_a_job_that_was_killed_is_encoded_by_another(
    study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = replace(study_inputs, cache=study_inputs.cache / "whole").features(("pooled",))["pooled"]
    monkeypatch.setattr(features, "BLOCK", 4)
    read = Mock(wraps=read_views)
    monkeypatch.setattr(features, "read_views", read)
    inputs = replace(study_inputs, batch_size=4)
    (locks := inputs.features_folder / "locks").mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(locks / "00001.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed, ThreadPoolExecutor() as jobs:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "1\n"  # it is at the second block
        found = jobs.submit(inputs.features, ("pooled",))
        while read.call_count < 5:
            time.sleep(0.01)
        killed.kill()
        assert torch.equal(found.result()["pooled"], expected)
    assert read.call_count == 6
    left = {path.name for path in inputs.features_folder.iterdir()}
    assert left == {"pooled.npy", "pooled.crc32", "scenes.json", "lock", "locks"}


@pytest.mark.slow
def test_jobs_encode_a_block_each_at_a_time(study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = replace(study_inputs, cache=study_inputs.cache / "whole", batch_size=4).features(("pooled", "pixels"))
    monkeypatch.setattr(features, "BLOCK", 4)
    read = Mock(wraps=features.read_views)
    monkeypatch.setattr(features, "read_views", read)
    inputs = replace(study_inputs, batch_size=4)
    parts = inputs.features_folder / f"parts-{zlib.crc32(b'pooled pixels'):08x}"
    (locks := inputs.features_folder / "locks").mkdir(parents=True)
    with ThreadPoolExecutor() as jobs, FileLock(locks / "00003.lock"):  # at which a third job is, which fails
        found = [jobs.submit(inputs.features, ("pooled", "pixels")) for _ in range(2)]
        while len(list(parts.glob("*/pixels.npy"))) < 5:
            time.sleep(0.01)
        assert read.call_count == 5
    for each in found:
        assert all(torch.equal(each.result()[name], expected[name]) for name in ("pooled", "pixels"))
    assert read.call_count == 6
    assert {path.name for path in inputs.features_folder.iterdir()} == {*FILES, "locks"}

"""A file is the old one or the new one, and a full disk is one error that names the folder."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from gqn_probe.atomic_io import atomic_write, remove_temporary_files, write_tensors, write_text
from gqn_probe.run.cli_errors import one_line

Usage = namedtuple("Usage", "total used free")


def write(path: Path, error: Exception) -> None:
    """Fail with ``error`` in the middle of a write."""
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError):
        write(tmp_path / "a.txt", KeyError())
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    (tmp_path / ".a.1234.draft.txt").touch()
    (tmp_path / "a.txt").touch()
    remove_temporary_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
    ],
)
def test_a_full_disk_is_one_line_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10, 10, 0))
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "last.ckpt", error)
    assert one_line(caught.value).startswith(f"{tmp_path}: No space left on device; hydra.run.dir=")
    assert not list(tmp_path.iterdir())


def test_tensors_are_written_through_one_temporary_file(tmp_path: Path):
    """What safetensors writes by itself would stay behind when it is killed, under a name of its own."""
    write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3)}, {"made": "here"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"made": "here"}
        assert torch.equal(file.get_tensor("x"), torch.arange(3))


def test_another_error_stays_what_it_is(tmp_path: Path):
    with pytest.raises(RuntimeError, match="shape"):
        write(tmp_path / "a", RuntimeError("shape"))

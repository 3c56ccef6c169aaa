"""Files of weights that are damaged, or ask for more than they are worth: one ValueError with the file's name."""

import contextlib
import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import small_generator

from gqn_probe.model import GQN, Tower, load_gqn, save_weights
from gqn_probe.model.saved_tensors import read_plain

POINTS = {"class": "Points", "points": 9, "channels": 4, "width": 8, "heads": 2, "blocks": 1, "looks": 1}
POINTS |= {"sharpness": [10.0, 60.0]}
TANGLE: Any = [1]
for _ in range(40):
    TANGLE = [TANGLE, TANGLE]  # a million million numbers, if somebody writes them out


def gqn() -> GQN:
    encoder = Tower(width=8, channels=8, pooled=False)
    changes = {"hidden_channels": 4, "canvas_channels": 4, "shared": False, "canvas_input": True, "deviation": "exp"}
    generator = small_generator(**changes)
    return GQN(encoder=encoder, generator=generator, aggregation="sum")


@pytest.fixture
def content() -> dict[str, Any]:
    """Of a checkpoint."""
    network = gqn()
    state = {f"gqn.{name}": value for name, value in network.state_dict().items()}
    return {"state_dict": state, "gqn_settings": network.settings(), "trained_on": {}, "global_step": 3}


def refused(path: Path, match: str = "", read: Callable[[Path], Any] = load_gqn) -> None:
    """One line with the file's name; ``data/test_reading_cost.py`` measures what it costs."""
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + match) as error:
        read(path)
    assert "\n" not in str(error.value)


SETTINGS: list[Any] = [
    *([], 5, {"class": ["GQN"]}, {"class": "Tower", "width": 4, "channels": 4, "pooled": True}),
    *({"encoder": 5}, {"encoder": POINTS | {"points": 10**9}}, {"encoder": POINTS | {"blocks": 60_000}}),
    *({"encoder": POINTS | {"heads": 0}}, {"encoder": POINTS | {"sharpness": TANGLE}}, {"aggregation": TANGLE}),
    *({"encoder": POINTS | {"sharpness": [10**400, 1]}}, {"encoder": {"class": "Pyramid", "channels": 4, "size": 4}}),
]
OF_GENERATOR = [{"steps": 100_000}, {"steps": 60_000}, {"kernel": -1}, {"kernel": 2**31}, {"kernel": 2}, {"size": None}]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [*SETTINGS, *OF_GENERATOR, {"hidden_channels": 0}, {"hidden_channels": 30_000}])
def test_settings_of_no_model_and_of_a_model_larger_than_the_file(wrong: Any, content: dict, tmp_path: Path) -> None:
    settings = content["gqn_settings"]
    if isinstance(wrong, dict) and "class" not in wrong:
        inside = {"encoder", "aggregation"}.isdisjoint(wrong)
        wrong = settings | ({"generator": settings["generator"] | wrong} if inside else wrong)
    torch.save(content | {"gqn_settings": wrong}, tmp_path / "a.ckpt")
    refused(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value: value.long(), "is torch.int64 instead of torch.float32"),
        (lambda value: value.to(torch.complex64), "is torch.complex64 instead of torch.float32"),
        (lambda value: value * float("nan"), "holds NaN or infinity"),
        (lambda value: torch.zeros(1).expand(10**9), r"a tensor \(1000000000,\) of 1 numbers"),
        (lambda value: value.to_sparse(), "refers to torch._utils._rebuild_sparse_tensor"),
        (lambda value: value.to("meta"), "refers to torch._utils"),
        (lambda value: 3, "neither a checkpoint"),
    ],
    ids=["integers", "complex", "nan", "stride 0", "sparse", "meta", "numbers"],
)
def test_tensors_that_are_no_weights(change: Callable, reason: str, content: dict, tmp_path: Path) -> None:
    content["state_dict"] = {name: change(value) for name, value in content["state_dict"].items()}
    torch.save(content, tmp_path / "a.ckpt")
    refused(tmp_path / "a.ckpt", reason)


def test_numbers_that_many_tensors_share(content: dict, tmp_path: Path) -> None:
    numbers = torch.zeros(100_000)
    content["state_dict"] = {name: numbers[: v.numel()].view(v.shape) for name, v in content["state_dict"].items()}
    torch.save(content, tmp_path / "a.ckpt")
    refused(tmp_path / "a.ckpt", "its tensors take .* bytes, of which it holds")


@pytest.mark.parametrize("facts", [3, {"frame_size": "axb"}, {"lens": "[" * 100_000}, {"lens": '{"kind": 1}'}])
def test_facts_of_no_data(facts: Any, content: dict, tmp_path: Path) -> None:
    torch.save(content | {"trained_on": facts}, tmp_path / "a.ckpt")
    refused(tmp_path / "a.ckpt")


PICKLES = {
    "brackets": b"(" * 100_000,
    "nested": b"\x80\x02" + b")" + b"\x85" * 3_000_000 + b".",
    "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "memory": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "code": b"cos\nsystem\n(S'true'\ntR.",
    "storage": b"\x80\x02K\x01Q.",
    "escape": b"S'\\q'\n.",  # of which Python warns
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickles_in_the_zip_and_in_the_older_format(name: str, content: dict, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    rezipped(tmp_path / "a.ckpt", lambda entry, old: PICKLES[name] if entry.endswith("data.pkl") else old)
    refused(tmp_path / "a.ckpt")
    older = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    (tmp_path / "b.ckpt").write_bytes(b"".join(pickle.dumps(each, 2) for each in older) + PICKLES[name])
    refused(tmp_path / "b.ckpt")


def rezipped(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w", compression) as new:
        for entry in old.namelist():
            new.writestr(entry, change(entry, old.read(entry)))


@pytest.mark.slow
def test_zeros_that_are_compressed_and_numbers_that_are_not_there(content: dict, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save(content, path)
    rezipped(path, lambda entry, old: old[:-4] if entry.endswith("data/0") else old)
    refused(path, "its numbers 0 are not 96")
    rezipped(path, lambda entry, old: bytes(10**8) if entry.endswith("data/0") else old, zipfile.ZIP_DEFLATED)
    refused(path, "it is compressed")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_cut_checkpoint(legacy: bool, content: dict, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    load_gqn(path)
    whole = path.read_bytes()
    for end in (0, 10, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:end])
        reason = "" if legacy or end < 10 else "its end is missing"
        refused(path, reason)
        refused(path, reason, read=read_plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.safetensors", "a.ckpt"])
def test_a_flipped_bit_is_noticed_or_harmless(name: str, content: dict, tmp_path: Path) -> None:
    network, path = gqn(), tmp_path / name
    torch.save(content, path)
    if path.suffix == ".safetensors":
        save_weights(network, path, {"steps": "3"})
    whole, right = path.read_bytes(), load_gqn(path)
    for place in torch.linspace(0, len(whole) - 1, 60).long().tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with contextlib.suppress(ValueError):
            same = zip(load_gqn(path).state_dict().values(), right.state_dict().values(), strict=True)
            assert all(torch.equal(one, other) for one, other in same)
            assert path.suffix == ".ckpt"  # a checksum is over all of a safetensors file

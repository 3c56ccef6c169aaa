"""The precision is chosen by what the machine has instructions for."""

import logging

import pytest
import torch

from gqn_probe.training import precision
from gqn_probe.training.precision import choose_precision, cpu_has_bf16

X86 = "processor : 0\nflags : fpu avx2 {}\n"
ARM = "processor : 0\nFeatures : fp asimd {}\n"


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Pretend to be on a processor that PyTorch, or Linux alone, tells of."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def pretend(capabilities: dict[str, bool], cpuinfo: str = "") -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr(precision, "Path", lambda path: tmp_path / "cpuinfo")

    return pretend


@pytest.mark.parametrize(
    ("capabilities", "cpuinfo", "fast"),
    [
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, "", True),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": True}, "", True),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, X86.format("avx512_bf16"), False),
        ({}, X86.format("avx512_bf16"), True),
        ({}, X86.format("avx512f"), False),
        ({}, ARM.format("bf16 i8mm"), True),
        ({}, ARM.format("asimdhp"), False),
        ({}, "", False),
    ],
)
def test_auto_is_bfloat16_where_there_are_instructions(processor, caplog, capabilities, cpuinfo, fast):
    processor(capabilities, cpuinfo)
    caplog.set_level(logging.INFO)
    assert cpu_has_bf16() is fast
    assert choose_precision("auto", "auto") == ("bf16-mixed" if fast else "32-true")
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_who_asks_for_emulation_is_warned(processor, caplog):
    processor({"avx512_bf16": False})
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert caplog.messages[0].startswith("trainer.precision=bf16-mixed is emulated on this processor")
    caplog.clear()
    assert choose_precision("32-true", "cpu") == "32-true"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("capability", "chosen"), [((7, 5), "32-true"), ((8, 0), "bf16-mixed"), ((9, 0), "bf16-mixed")]
)
def test_a_gpu_is_asked_where_there_is_one(monkeypatch, capability, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert choose_precision("auto", "gpu") == chosen

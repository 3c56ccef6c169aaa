"""The precision of training: bfloat16 where the machine has instructions for it, since it is emulated elsewhere.

On a processor with AVX2 alone, a 5x5 convolution under bfloat16 took 115 times as long as in float32.
"""

import logging
from pathlib import Path

import torch

log = logging.getLogger(__name__)
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # x86, x86, ARM; as PyTorch and Linux call them
AMPERE = 8  # the least compute capability of GPUs with bfloat16


def choose_precision(asked: object, accelerator: str) -> str:
    """Lightning's ``precision`` for ``trainer.precision``: of ``auto``, ``bf16-mixed`` or ``32-true``.

    Logs what was chosen, and warns of a bfloat16 that was asked for and will be emulated.

    Args:
        accelerator: Lightning's: ``auto`` is a GPU where there is one.
    """
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    fast = gpu_has_bf16() if on_gpu else accelerator in ("auto", "cpu") and cpu_has_bf16()
    machine = "GPU" if on_gpu else "processor"
    if asked == "auto":
        chosen = "bf16-mixed" if fast else "32-true"
        log.info("precision: %s, as the %s has %sbfloat16 instructions", chosen, machine, "" if fast else "no ")
        return chosen
    if str(asked).startswith("bf16") and not fast:
        log.warning(
            "trainer.precision=%s is emulated on this %s, which has no bfloat16 instructions: "
            "it may take a hundred times as long; use trainer.precision=auto",
            asked,
            machine,
        )
    return str(asked)


def cpu_has_bf16() -> bool:
    """Whether this processor has instructions for bfloat16: PyTorch is asked, and Linux where PyTorch does not say."""
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        if any(name in found for name in BF16_INSTRUCTIONS):
            return any(found.get(name, False) for name in BF16_INSTRUCTIONS)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").lower().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "features"))), "")
    return not set(BF16_INSTRUCTIONS).isdisjoint(flags.split())


def gpu_has_bf16() -> bool:
    """Whether the GPUs have instructions for bfloat16."""
    return torch.cuda.get_device_capability()[0] >= AMPERE

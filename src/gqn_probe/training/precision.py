"""Choice of the training precision: bfloat16 only where the machine has instructions for it.

On a processor with AVX2 only, a 5x5 convolution in emulated bfloat16 took 115 times as long as in float32.
"""

import logging
from pathlib import Path

import torch

log = logging.getLogger(__name__)
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # names in PyTorch and Linux, of x86, x86 and ARM
AMPERE = 8  # lowest compute capability with bfloat16


def choose_precision(asked: object, accelerator: str) -> str:
    """Return Lightning's ``precision`` for ``trainer.precision``; ``auto`` is ``bf16-mixed`` or ``32-true``.

    Logs the choice, and warns if a requested bfloat16 will be emulated.

    Args:
        accelerator: Lightning's ``accelerator``; ``auto`` is a GPU if there is one.
    """
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if on_gpu:
        fast = torch.cuda.get_device_capability()[0] >= AMPERE
    else:
        fast = accelerator in ("auto", "cpu") and cpu_has_bf16()
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
    """Return True if the processor has bfloat16 instructions, by PyTorch or else by /proc/cpuinfo."""
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

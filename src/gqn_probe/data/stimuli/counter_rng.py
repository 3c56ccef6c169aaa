"""Counter-based random numbers, by which a scene depends on its key alone, on any device and in any batch.

SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 15):
the n-th number is a mix of ``key + n * golden``. torch's int64 arithmetic wraps, so CPU and GPU agree to the bit.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
MIX_2 = 0x94D049BB133111EB - (1 << 64)


def _shift_right(bits: Int[Tensor, "..."], places: int) -> Int[Tensor, "..."]:
    """Shift logically; torch's ``>>`` copies the sign bit."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def mix(bits: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Apply SplitMix64's finaliser, a bijection of 64-bit integers."""
    bits = (bits ^ _shift_right(bits, 30)) * MIX_1
    bits = (bits ^ _shift_right(bits, 27)) * MIX_2
    return bits ^ _shift_right(bits, 31)


def scene_keys(scenes: Int[Tensor, " s"], *, seed: int, stream: str) -> Int[Tensor, " s"]:
    """Return one key a scene; another ``stream``, such as the split, gives the same id another key."""
    key = torch.tensor(seed, dtype=torch.int64, device=scenes.device)
    for byte in stream.encode():
        key = mix(key + GOLDEN) ^ byte
    return mix(mix(key + GOLDEN) + scenes * GOLDEN)


def uniform(keys: Int[Tensor, " s"], count: int) -> Float[Tensor, "s {count}"]:
    """Return the first ``count`` uniform numbers of each key, float64 in [0, 1)."""
    counter = torch.arange(1, count + 1, device=keys.device)
    bits = mix(keys[:, None] + counter * GOLDEN)
    return _shift_right(bits, 11).double() * 2.0**-53

"""A GPU for machines without one: tensors that say that they are on ``cuda:1`` and are computed on the CPU.

An operation on tensors of both devices fails as on a real GPU, and so does reading one as NumPy; numbers are those of
the CPU. PyTorch's own FakeTensor does the first without computing, so it cannot follow a loop that depends on data.
"""

# pyright: reportIncompatibleMethodOverride=false, reportArgumentType=false, reportIncompatibleVariableOverride=false
# a tensor that is on no device there is

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import Mock, patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda:1")  # not the first, which is taken where a choice is forgotten
TOWARDS_THE_FIRST = {"copy_", "index", "index_put", "index_put_", "_index_put_impl_"}  # others may be on the CPU
CUDA = {
    "_lazy_init": None,
    "is_available": True,
    "is_bf16_supported": True,
    "device_count": 2,
    "current_device": 1,
    "set_device": None,
    "get_device_capability": (9, 0),
    "get_device_name": "pretended",
    "get_rng_state": torch.zeros(1, dtype=torch.uint8),
    "set_rng_state": None,
    "manual_seed": None,
    "manual_seed_all": None,
    "memory_stats": {},
    "empty_cache": None,
    "synchronize": None,
}


class OnGPU(torch.Tensor):
    """To PyTorch's C++ a meta tensor, about which it asks Python; to Python it is on the GPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnGPU:
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, device="meta", **layout)
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:
        return GPU

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __format__(self, specification: str) -> str:
        return format(self.inner, specification)

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.inner.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return run(operation, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Sees what makes tensors, too."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return run(operation, args, kwargs or {})


def run(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute on the CPU; the result is on the device where it would be."""
    name = operation.overloadpacket.__name__
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = {isinstance(each, OnGPU) for each in tensors if each.dim() or isinstance(each, OnGPU)}
    if name in TOWARDS_THE_FIRST and (name == "copy_" or isinstance(args[0], OnGPU)):
        there = {isinstance(args[0], OnGPU)}
    if len(there) == 2:
        raise RuntimeError(f"{operation}: Expected all tensors to be on the same device, but found {GPU} and cpu!")
    asked = kwargs.get("device")
    if asked is not None and torch.device(asked).type == "cuda" and torch.device(asked) != GPU:
        raise RuntimeError(f"{operation}: wants {asked}, but {GPU} was chosen")
    on_gpu = True in there if asked is None else torch.device(asked).type != "cpu"
    known = {id(each.inner): each for each in tensors if isinstance(each, OnGPU)}

    def inner(leaf: Any) -> Any:
        if isinstance(leaf, torch.device):
            return torch.device("cpu")
        return leaf.inner if isinstance(leaf, OnGPU) else leaf

    def outer(leaf: Any) -> Any:
        if not on_gpu or not isinstance(leaf, torch.Tensor):
            return leaf
        return known.get(id(leaf)) if id(leaf) in known else OnGPU(leaf)

    return tree_map(outer, operation(*tree_map(inner, args), **tree_map(inner, kwargs)))


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """The second GPU of two, which are there until the end of the block."""
    convert, lift = torch.__future__.get_overwrite_module_params_on_conversion(), torch._C._only_lift_cpu_tensors()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter becomes another tensor
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor makes one on the CPU, and moves it
    try:
        with ExitStack() as stack:
            for name, answer in CUDA.items():
                stack.enter_context(patch.object(torch.cuda, name, Mock(return_value=answer)))
            stack.enter_context(_Everywhere())
            yield GPU
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(convert)
        torch._C._set_only_lift_cpu_tensors(lift)

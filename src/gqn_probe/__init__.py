"""Train a Generative Query Network on Shepard-Metzler objects and probe what its scene representation knows."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqn_probe.model import GQN, load_gqn

__all__ = ["GQN", "load_gqn"]


def __getattr__(name: str) -> object:
    # Loaded on first use: the Hydra plugin and the report import this package and need no torch.
    if name in __all__:
        return getattr(import_module("gqn_probe.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "import_module"})

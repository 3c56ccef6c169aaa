"""The Generative Query Network: scene encoders, generator, terms of the objective, files of weights."""

import importlib
import pkgutil

from gqn_probe.model.checkpoint import load_gqn, weights_path
from gqn_probe.model.encoders import Encoder, Pyramid, Tower
from gqn_probe.model.generator import Generator
from gqn_probe.model.gqn import GQN, GQNOutput, Trace
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.points import Points
from gqn_probe.model.weights_file import save_weights, weights_fingerprint

__all__ = [
    "GQN",
    "Encoder",
    "GQNOutput",
    "Generator",
    "InputSpec",
    "Points",
    "Pyramid",
    "Tower",
    "Trace",
    "load_gqn",
    "save_weights",
    "weights_fingerprint",
    "weights_path",
]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    # Encoders and cores register themselves: import every file, so that configurations and files of weights find them.
    importlib.import_module(_module.name)

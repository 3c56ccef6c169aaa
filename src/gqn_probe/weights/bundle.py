"""Bundle exported weights with the package, in half precision: ``python -m gqn_probe.weights.bundle WEIGHTS``."""

import sys
from pathlib import Path

from safetensors import safe_open

from gqn_probe.model import load_gqn, save_weights
from gqn_probe.model.checkpoint import PRETRAINED

LARGEST = 16_000_000  # bytes that the bundled weights may take


def bundle(weights: Path, path: Path = PRETRAINED) -> Path:
    """Write the model of a ``weights.safetensors`` to ``path`` as float16; it is loaded as float32.

    Raises:
        ValueError: the file is not one of weights, or the model is too large.
    """
    gqn = load_gqn(weights)
    if (size := 2 * sum(parameter.numel() for parameter in gqn.parameters())) > LARGEST:
        raise ValueError(f"{weights} takes {size / 1e6:.0f} MB in half precision, more than {LARGEST / 1e6:.0f}")
    with safe_open(weights, framework="pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != "gqn_settings"}
    save_weights(gqn.half(), path, metadata)
    return path


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv) or len(sys.argv) != 2:
        print(__doc__)
        sys.exit(len(sys.argv) != 2)
    try:
        print(bundle(Path(sys.argv[1])))
    except ValueError as error:
        sys.exit(f"error: {error}")

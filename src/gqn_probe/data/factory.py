"""The ``_target_`` of ``conf/data/*.yaml``: builds the data module of the source class that a YAML names."""

import inspect
import pkgutil
from typing import Any

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.stimuli.cameras import make_lens


def from_source(
    *,
    source: str,
    cache: str,
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    online: bool = False,
    **settings: Any,
) -> SceneDataModule:
    """Build the data module of any ``Source`` class.

    Args:
        source: the class, as "package.module.Class".
        settings: its arguments; ``lens`` is made a ``Lens``, and ``seed`` and ``cache`` are added if it takes them.

    Raises:
        ValueError: the class cannot be imported.
    """
    try:
        kind = pkgutil.resolve_name(source)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"data.source={source} is not a class that can be imported: {error}") from None
    if settings.get("lens") is not None:
        settings["lens"] = make_lens(settings["lens"])
    shared = {"seed": seed, "cache": cache}
    settings |= {name: value for name, value in shared.items() if name in inspect.signature(kind).parameters}
    return SceneDataModule(
        source=kind(**settings),
        online=online,
        batch_size=batch_size,
        num_workers=num_workers,
        seed=seed,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )

"""Predict a scene from any camera: ``python -m gqn_probe.render``; ``--help`` lists its settings.

Writes a folder of pictures for each column (truth, prediction from each count of context images, spread of samples), a
film and a contact sheet of the columns, and the cameras.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from omegaconf import DictConfig
from PIL import Image

from gqn_probe import film
from gqn_probe.atomic_io import atomic_write, write_csv
from gqn_probe.choices import check_choice
from gqn_probe.context_range import parse_counts
from gqn_probe.run import cli, job

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

    from gqn_probe.types import Scenes

log = logging.getLogger(__name__)
CONF = Path(__file__).parents[2] / "conf"
KNOWN = 64  # scenes whose cameras the path is compared with
ACROSS = 8  # largest number of pictures in a row of the contact sheet
WHITE = 64  # spread in grey levels that is drawn white


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="render")
def main(cfg: DictConfig) -> None:
    """Run the recipe with the configuration that Hydra composed."""
    return cli.report_user_errors(render, cfg)


def render(cfg: DictConfig) -> None:
    """Write truth and predictions of the scene from every camera of the path."""
    # Torch takes seconds to import: only once the command line has been read.
    from gqn_probe.model import InputSpec, load_gqn
    from gqn_probe.pipeline.open_inputs import choose_device
    from gqn_probe.run.provenance import write_provenance
    from gqn_probe.training.novel_views import find_renderer, predicted_views, true_views
    from gqn_probe.types import to_unit

    job.setup_job(cfg.seed)
    _check(cfg)
    counts, device = parse_counts(cfg.context), choose_device(cfg.device)
    gqn = load_gqn(cfg.checkpoint, steps=cfg.generator_steps)
    data = job.open_data(cfg.data)
    scene, known = choose_scene(cfg, data)
    if max(counts) > scene.views:
        raise ValueError(f"context={cfg.context}: the scene has {scene.views} images")
    height, width = scene.frames.shape[-2:]
    gqn.check(InputSpec((height, width), data.camera_order, data.lens))
    path = choose_path(cfg, data, scene, known)
    renderer = find_renderer(data)
    columns = {"truth" if renderer else "nearest image": to_unit(true_views(scene, path, renderer)[0])}
    phi = gqn.to(device).encode(to_unit(scene.frames).to(device), data.encode(scene.cameras).to(device))
    asked: dict[str, Any] = {"size": (height, width), "samples": cfg.samples, "seed": cfg.seed}
    for count in counts:
        drawn = predicted_views(gqn, gqn.aggregate(phi[:, :count]).detach(), data.encode(path), **asked)[0]
        name = f"from {count} image{'s' * (count > 1)}"
        columns[name] = drawn.mean(dim=1)
        if cfg.samples > 1:
            columns[f"{name}, spread"] = drawn.std(dim=1).mean(dim=1, keepdim=True) * 255 / WHITE
    folder = job.output_folder()
    write_pictures({name: _bytes(images) for name, images in columns.items()}, folder, cfg.film, cfg.enlarge)
    write_csv(folder / "cameras.csv", ("x", "y", "z", "yaw", "pitch"), path.tolist())
    write_provenance(folder, cfg, device=device)
    log.info("%d pictures of each: %s", len(path), "; ".join(columns))
    log.info("output folder: %s", folder)


def _check(cfg: DictConfig) -> None:
    """Raise ValueError for settings that are not valid, before any work."""
    from gqn_probe.types import SPLITS

    for name in ("positions", "samples", "enlarge"):
        if not isinstance(cfg[name], int) or cfg[name] < 1:
            raise ValueError(f"{name}={cfg[name]} must be a whole number, 1 or more")
    check_choice("split", cfg.split, SPLITS)
    if cfg.film is not None:
        film.check_format(cfg.film)


def choose_scene(cfg: DictConfig, data: Any) -> "tuple[Scenes, Float[Tensor, 'n 5']]":
    """Return the scene that ``scene`` names, in the split or the folder of ``images``, and raw cameras of such scenes.

    Raises:
        ValueError: there is no scene of that number or name.
    """
    if cfg.images is not None:  # read as they are: the scenes of a folder need no splits
        read = [data.source.read(piece) for piece in data.source.pieces()]
        found = [scenes[row : row + 1] for scenes in read for row in range(len(scenes))]
        place = _place(cfg.scene, [each.names[0] for each in found], len(found), f"images={cfg.images}")
        return found[place], found[place].cameras[0]
    split = data.split(cfg.split)
    names = [] if isinstance(cfg.scene, int) else split[:].names or []
    place = _place(cfg.scene, names, len(split), f"split={cfg.split}")
    return split[place : place + 1], split[:KNOWN].cameras.flatten(0, 1)


def _place(scene: object, names: Sequence[str], number: int, where: str) -> int:
    if isinstance(scene, int) and 0 <= scene < number:
        return scene
    if str(scene) in names:
        return names.index(str(scene))
    raise ValueError(f"scene={scene} is not there: {where} has the scenes 0 to {number - 1}")


def choose_path(cfg: DictConfig, data: Any, scene: "Scenes", known: "Float[Tensor, 'n 5']") -> "Float[Tensor, 'v 5']":
    """Return the raw cameras of the CSV or the orbit.

    Raises:
        ValueError: the orbit is unknown, or a camera is unlike those of training.
    """
    import torch

    from gqn_probe.data.formats.camera_table import read_cameras
    from gqn_probe.data.stimuli.camera_paths import check_cameras, orbit_path

    centre = torch.tensor(data.lens.centre, dtype=torch.float32)
    if cfg.cameras is None:
        shape = {name: cfg[name] for name in ("positions", "azimuth", "elevation", "inclination")}
        path = orbit_path(cfg.orbit, scene.cameras[0], centre, **shape)
    else:
        rows = read_cameras(Path(cfg.cameras).read_bytes(), cfg.cameras, angles=cfg.angles)
        path = torch.tensor(rows, dtype=torch.float32)
    check_cameras(path, known, centre)
    return path


def write_pictures(
    pictures: "Mapping[str, UInt8[np.ndarray, 'v h w 3']]", folder: Path, kind: str | None, enlarge: int
) -> None:
    """Write a folder of PNGs for each column, a film of the columns side by side, and a contact sheet."""
    for name, column in pictures.items():
        home = folder / name.replace(",", "").replace(" ", "_")
        home.mkdir(parents=True, exist_ok=True)
        for place, picture in enumerate(column):
            _save_png(picture, home / f"{place:03d}.png")
    if kind is not None:
        large = ([film.enlarged(each, enlarge) for each in row] for row in zip(*pictures.values(), strict=True))
        shown = [film.labelled(dict(zip(pictures, row, strict=True))) for row in large]
        film.save_film(shown, folder / f"film.{kind}")
    number = len(next(iter(pictures.values())))
    across = min(number, ACROSS)
    places = [place * number // across for place in range(across)]
    few = {name: [film.enlarged(column[place], enlarge) for place in places] for name, column in pictures.items()}
    rows = [film.labelled({name: film.contact_sheet(row, columns=across)}) for name, row in few.items()]
    _save_png(np.concatenate(rows), folder / "contact_sheet.png")


def _save_png(picture: "UInt8[np.ndarray, 'h w 3']", path: Path) -> None:
    with atomic_write(path) as draft:
        Image.fromarray(picture).save(draft)


def _bytes(images: "Float[Tensor, 'v c h w']") -> "UInt8[np.ndarray, 'v h w 3']":
    return images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()


def own_images(arguments: list[str]) -> list[str]:
    """Return the command line with ``data=own data.root=FOLDER`` added for ``images=FOLDER``."""
    folders = [word.partition("=")[2] for word in arguments if word.startswith("images=")]
    return ["data=own", f"data.root={folders[-1]}", *arguments] if folders else arguments


if __name__ == "__main__":
    sys.argv[0] = str(CONF.parent / "render.py")  # Hydra and --help go by the name: conf/render.yaml
    cli.launch(main, rewrite=own_images)

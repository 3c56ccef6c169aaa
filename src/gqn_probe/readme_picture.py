"""Animation of the README: predictions, their uncertainty and decoded cubes of objects, from 1 to 15 images.

``python -m gqn_probe.readme_picture OUT.webp [SETTING=VALUE ...]`` with the settings of ``probe.py``;
``shown=0,4`` chooses other objects. They are of the test split, and held out from the fit of the decoder of cubes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from hydra import compose, initialize_config_dir
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import view_orders
from gqn_probe.analysis.pictures.voxels import decode_voxels
from gqn_probe.data.stimuli.camera_paths import azimuth_orbit, cameras_facing
from gqn_probe.data.stimuli.scene_renderer import CAMERA_DISTANCE
from gqn_probe.film import contact_sheet, save_film
from gqn_probe.pipeline.open_inputs import open_study_inputs
from gqn_probe.report import style
from gqn_probe.report.figures.cubes import cubes_found, draw_cubes, wrong_cells
from gqn_probe.report.figures.predicted_views import rmse, show_image
from gqn_probe.report.terminal import say
from gqn_probe.run import job
from gqn_probe.run.cli_errors import USER_ERRORS, one_line
from gqn_probe.run.hydra_arguments import hydra_arguments
from gqn_probe.training.novel_views import find_renderer, predicted_views, true_views
from gqn_probe.types import to_unit

CONF = Path(__file__).parents[2] / "conf"
OBJECTS = "probe.objects=600"  # four in five of which the decoder of cubes is fitted on
SHOWN = (1, 2, 5)  # indices of held-out objects
FRAMES = {1: 8, 2: 6, 3: 5, 4: 4, 5: 4, 6: 3, 7: 3, 8: 3, 9: 2, 10: 2, 11: 2, 12: 2, 13: 2, 14: 2, 15: 14}
SAMPLES = 8
ELEVATION = 25.0  # of the camera, in degrees
WHITE = 48.0  # grey levels of spread that are drawn white
MILLISECONDS = 110
MEGABYTES = 1.5
TITLES = ("images given", "truth", "predicted", "spread of samples", "decoded from r", "untrained network")
NETWORKS = ("trained", "untrained")


class DecodedCubes(NamedTuple):
    """An object's cells as decoded from r of one network."""

    occupied: Float[np.ndarray, " g"]
    colors: Float[np.ndarray, "g 3"]
    wrong: Bool[np.ndarray, " g"]
    score: str  # how many cubes are among the strongest cells


class Frame(NamedTuple):
    """Panels of one object in one picture of the film."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    context: UInt8[np.ndarray, "H W 3"]  # the images given, as a mosaic
    truth: UInt8[np.ndarray, "h w 3"]
    predicted: UInt8[np.ndarray, "h w 3"]
    spread: UInt8[np.ndarray, "h w 3"]
    decoded: list[DecodedCubes]  # of the trained and of the untrained network


class Film(NamedTuple):
    """Frames of each object, azimuth of the camera in each frame, and cells of space."""

    objects: list[list[Frame]]
    azimuths: list[float]
    cells: Float[np.ndarray, "g 3"]


def make_picture(overrides: Sequence[str], path: Path, shown: Sequence[int] = SHOWN) -> Path:
    """Write the film to ``path`` and return the path.

    Args:
        overrides: settings of ``probe.py``.
        shown: indices of held-out objects.

    Raises:
        ValueError: a setting is not valid, or the film is too large.
    """
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("probe", hydra_arguments([OBJECTS, *overrides]))
    job.setup_job(cfg.seed)
    settings = job.instantiate(cfg.probe)
    inputs = open_study_inputs(cfg, settings.objects)
    networks: dict[str, StudyInputs] = dict(zip(NETWORKS, (inputs, inputs.untrained(0)), strict=True))
    found = decode_voxels(networks, list(FRAMES), strengths=settings.strengths, seed=settings.seed)
    film = predict_film(inputs, job.instantiate(cfg.data), found, shown, seed=settings.seed)
    pictures = draw_film(film)
    save_film(
        pictures, path, milliseconds=[MILLISECONDS] * (len(pictures) - 1) + [10 * MILLISECONDS], megabytes=MEGABYTES
    )
    return path


@torch.no_grad()
def predict_film(
    inputs: StudyInputs, data: Any, found: dict[str, np.ndarray], shown: Sequence[int], *, seed: int
) -> Film:
    """Return the frames of all objects, while the camera circles them once and the number of images rises."""
    gqn = inputs.gqn
    chosen = torch.from_numpy(found["objects"])[list(shown)]
    scenes = inputs.scenes[chosen]
    order = view_orders(len(inputs.scenes), scenes.views, seed)[chosen]
    phi = gqn.encode(to_unit(scenes.frames), inputs.encode_cameras(scenes.cameras))
    counts = [count for count, number in FRAMES.items() for _ in range(number)]
    raw = cameras_facing(azimuth_orbit(len(counts), elevation=ELEVATION), CAMERA_DISTANCE)
    truth = _bytes(to_unit(true_views(scenes, raw, find_renderer(data))))
    size = scenes.frames.shape[-2], scenes.frames.shape[-1]
    made: list[list[Frame]] = [[] for _ in chosen]
    for count in FRAMES:
        frames = [place for place, each in enumerate(counts) if each == count]
        r = torch.cat([gqn.aggregate(views[ordered[:count]][None]) for views, ordered in zip(phi, order, strict=True)])
        drawn = predicted_views(gqn, r, inputs.encode_cameras(raw[frames]), size=size, samples=SAMPLES, seed=seed)
        mean = _bytes(drawn.mean(dim=2))
        spread = drawn.std(dim=2).mean(dim=2, keepdim=True) * 255 / WHITE
        unsure = _bytes(spread.clamp(0, 1).expand(-1, -1, 3, -1, -1))
        for i, place in enumerate(shown):
            context = _mosaic(scenes.frames[i, order[i, :count]])
            decoded = [_decoded_cubes(found, f"{network}_{{}}{count}", place) for network in NETWORKS]
            for step, frame in enumerate(frames):
                made[i].append(Frame(count, context, truth[i, frame], mean[i, step], unsure[i, step], decoded))
    azimuths = [360 * frame / len(counts) for frame in range(len(counts))]
    return Film(made, azimuths, found["cells"].astype(float))


def _decoded_cubes(found: dict[str, np.ndarray], name: str, place: int) -> DecodedCubes:
    occupied, true = found[name.format("")][place], found["true"][place]
    score = f"{cubes_found(occupied, true)} of {int(true.sum())} cubes"
    return DecodedCubes(occupied, found[name.format("color_")][place], wrong_cells(occupied, true), score)


def draw_film(film: Film) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Return the pictures of the film, one row for each object."""
    reach = np.abs(film.cells).max() + 0.7
    rows, pictures = len(film.objects), []
    with style.style_context():
        figure = Figure(figsize=(10.6, 0.42 + 1.92 * rows))
        canvas = FigureCanvasAgg(figure)
        grid = figure.subplots(rows, len(TITLES), squeeze=False)
        for place, azimuth in enumerate(film.azimuths):
            for panels, frames in zip(grid, film.objects, strict=True):
                _draw_object(list(panels), frames[place], film.cells, reach, azimuth)
            count = film.objects[0][place].count
            for axes, title in zip(grid[0], TITLES, strict=True):
                axes.set_title(f"{count} image{'s' * (count > 1)} given" if title == TITLES[0] else title, fontsize=11)
            canvas.draw()
            pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return pictures


def _draw_object(panels: Sequence[Axes], frame: Frame, cells: np.ndarray, reach: float, azimuth: float) -> None:
    for axes in panels:
        axes.cla()
    for axes, picture in zip(panels, (frame.context, frame.truth, frame.predicted, frame.spread), strict=False):
        show_image(axes, picture)
    panels[2].set_xlabel(f"error {rmse(frame.predicted, frame.truth):.0f} of 255", fontsize=9)
    for axes, (occupied, colors, wrong, score) in zip(panels[4:], frame.decoded, strict=True):
        draw_cubes(axes, cells, occupied, colors, reach, wrong=wrong, azimuth=azimuth, elevation=ELEVATION)
        axes.set_xlabel(score, fontsize=9)


def _mosaic(images: UInt8[torch.Tensor, "v c h w"], side: int = 4, gap: int = 4) -> UInt8[np.ndarray, "H W 3"]:
    """Return up to 16 images in a square, white where there are fewer."""
    given = [rearrange(image, "c h w -> h w c").numpy() for image in images]
    blank = np.full_like(given[0], 255)
    return contact_sheet([*given, *[blank] * (side * side - len(given))], columns=side, gap=gap)


def _bytes(images: Float[torch.Tensor, "s v c h w"]) -> UInt8[np.ndarray, "s v h w c"]:
    return rearrange(images.clamp(0, 1).mul(255).round().byte(), "s v c h w -> s v h w c").numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the film of the command line; exit with a one-line error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or {"-h", "--help"} & {*given} or "=" in given[0]:
        say(__doc__ or "")
        sys.exit(0 if {"-h", "--help"} & {*given} else 1)
    path, *overrides = given
    shown = [word.partition("=")[2] for word in overrides if word.startswith("shown=")]
    try:
        places = [int(place) for place in shown[-1].strip("[]").split(",")] if shown else list(SHOWN)
        rest = [word for word in overrides if not word.startswith("shown=")]
        say(str(make_picture(rest, Path(path), places)))
    except USER_ERRORS as error:
        sys.exit(f"error: {one_line(error)}")


if __name__ == "__main__":
    main()

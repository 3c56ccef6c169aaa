"""Objects decoded from r as cubes, as opaque as the decoder's evidence, beside the true ones."""

import math

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study

AZIMUTH, ELEVATION = 35.0, 28.0  # of the eye, in degrees
LIGHT = np.array([0.35, 0.55, 0.76])  # towards the light, as the images have it
SHADE = 0.45  # brightness of a face that is turned away from it
BEHIND = "#ececea"  # on paper and in the dark alike: the cubes are translucent
FAINTEST = 0.12  # occupancy below which nothing is drawn


@study_figure(
    "knowledge",
    "Where r holds the object: for each cell of a grid, a linear decoder predicts from r whether it is filled, and its "
    "colour. A cube is as opaque as the prediction is strong. Below: of an object of n cubes, how many are among the n "
    "strongest cells; wrong ones among these are framed. The decoder was fitted on other objects. Last column: the "
    "same for an untrained network.",
)
def cubes(study: Study) -> Figure | None:
    """Draw a row for each object: true cubes, cubes decoded at each count, and those of an untrained network."""
    if not (data := study.arrays("voxels")):
        return None
    counts = [int(count) for count in data["counts"]]
    cells, true, colors = data["cells"].astype(float), data["true"], data["true_color"]
    columns = [("true cubes", true, colors)]
    columns += [(f"from {k} image{'s' * (k > 1)}", data[f"trained_{k}"], data[f"trained_color_{k}"]) for k in counts]
    grey = np.full_like(colors, 0.55)  # of studies that kept no colours of it
    of_untrained = data.get(f"untrained_color_{counts[-1]}", grey)
    columns.append((f"untrained, {counts[-1]}", data[f"untrained_{counts[-1]}"], of_untrained))
    figure = style.new_figure(0.35 + 1.6 * len(true), wide=len(columns) > 4)
    grid = figure.subplots(len(true), len(columns), squeeze=False)
    reach = np.abs(cells).max() + 0.6
    for row, axes_of_row in enumerate(grid):
        number = int(true[row].sum())
        for axes, (title, occupied, of_cells) in zip(axes_of_row, columns, strict=True):
            draw_cubes(axes, cells, occupied[row], of_cells[row], reach, wrong=wrong_cells(occupied[row], true[row]))
            axes.set_facecolor(BEHIND)
            axes.set_xlabel("" if title == "true cubes" else f"{cubes_found(occupied[row], true[row])} of {number}")
            if row == 0:
                axes.set_title(title, fontsize=9)
    return figure


def cubes_found(read: Float[np.ndarray, " g"], true: Float[np.ndarray, " g"]) -> int:
    """Return how many of an object's n cubes are among the n most strongly decoded cells."""
    return int(true.sum()) - int(wrong_cells(read, true).sum())


def wrong_cells(read: Float[np.ndarray, " g"], true: Float[np.ndarray, " g"]) -> Bool[np.ndarray, " g"]:
    """Return True for those of an object's n most strongly decoded cells that hold no cube."""
    surest = np.argsort(-read, kind="stable")[: int(true.sum())]
    wrong = np.zeros(len(read), bool)
    wrong[surest] = true[surest] == 0
    return wrong


def draw_cubes(
    axes: Axes,
    cells: Float[np.ndarray, "g 3"],
    occupied: Float[np.ndarray, " g"],
    colors: Float[np.ndarray, "g 3"],
    reach: float,
    *,
    wrong: Bool[np.ndarray, " g"] | None = None,
    azimuth: float = AZIMUTH,
    elevation: float = ELEVATION,
) -> None:
    """Draw cubes from far to near, three faces each, with ``occupied`` (0..1) as opacity.

    Args:
        reach: half the width of the picture, in cubes.
        wrong: cells to frame.
        azimuth: of the eye, as ``elevation`` in degrees.
    """
    around, up = math.radians(azimuth), math.radians(elevation)
    away = np.array([math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up)])
    plane = np.stack([right := np.array([-math.sin(around), math.cos(around), 0.0]), np.cross(away, right)], axis=1)
    faces, paints, edges = [], [], []
    for cell in np.argsort(cells @ away, kind="stable"):
        if occupied[cell] < FAINTEST:
            continue
        for axis in (2, 0, 1):
            side = 0.5 if away[axis] > 0 else -0.5
            cosine = 2 * side * LIGHT[axis] / np.linalg.norm(LIGHT)
            light = SHADE + (1 - SHADE) * (0.5 + 0.5 * cosine)
            faces.append(_face(cells[cell], axis, side) @ plane)
            paints.append([*np.clip(light * colors[cell], 0, 1), min(1.0, float(occupied[cell]))])
            edges.append(style.VERMILION if wrong is not None and wrong[cell] else (0, 0, 0, 0.12))
    if faces:
        widths = [0.9 if edge == style.VERMILION else 0.3 for edge in edges]
        axes.add_collection(PolyCollection(faces, facecolors=paints, edgecolors=edges, linewidths=widths))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)


def _face(cell: Float[np.ndarray, " 3"], axis: int, side: float) -> Float[np.ndarray, "4 3"]:
    """Return the corners of the face on one side of a cube along an axis."""
    others = [other for other in range(3) if other != axis]
    corners = np.repeat(cell[None].astype(float), 4, axis=0)
    corners[:, axis] += side
    for corner, (first, second) in enumerate(((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))):
        corners[corner, others] += (first, second)
    return corners

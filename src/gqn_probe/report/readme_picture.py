"""The README's picture, from a study: ``python -m gqn_probe.report.readme_picture FOLDER OUT.png``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figures.decodability import draw_panel
from gqn_probe.report.figures.images import one_query, show, shown_counts
from gqn_probe.report.glossary import target_label
from gqn_probe.study_results import Study, read_study

SCENES = 4
TARGET = "occupancy"  # what is told of, where the study decoded it


def readme_picture(study: Study) -> Figure:
    """What is predicted of a few held-out objects from more and more images, beside what r tells of them.

    Raises:
        ValueError: the study wrote no pictures, decoded nothing, or asked each count for another view.
    """
    counts = shown_counts(study)
    if not counts or not study.object_targets:
        raise ValueError(f"{study.folder} has no pictures or no decoded target: run probe.py with both")
    if not one_query(study):
        raise ValueError(f"{study.folder} has another query at each count: this picture is of the study's protocol")
    target = TARGET if TARGET in study.object_targets else study.object_targets[0]
    shown = {("none", study.input), ("untrained", study.input), ("pixels", "pixels")}
    truth = study.pictures[f"truth_{counts[0]}"][:SCENES]
    figure = style.blank(11.0, 0.55 + 1.0 * len(truth))
    left, right = figure.subfigures(1, 2, width_ratios=(1.45, 1), squeeze=False)[0]
    _draw_predictions(study, counts, left.subplots(len(truth), 2 + len(counts), squeeze=False))
    lines = [line for line in study.lines_of(target) if (line.rows[0].control, line.rows[0].input) in shown]
    axes = right.add_subplot()
    draw_panel(study, axes, lines)
    axes.set_xlabel(study.count_axis)
    axes.set_title(f"{target_label(target)}, told by a linear read-out", fontsize=9.5)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def _draw_predictions(study: Study, counts: list[int], grid: np.ndarray) -> None:
    """A row a scene: one of the images given, samples from more and more of them, and the truth."""
    rows: list[Sequence[Axes]] = list(grid)
    for scene, row in enumerate(rows):
        show(row[0], study.pictures["context"][scene, 0])
        for axes, count in zip(row[1:-1], counts, strict=True):
            show(axes, study.pictures[f"sample_{count}"][scene])
        show(row[-1], study.pictures[f"truth_{counts[0]}"][scene])
    titles = ["an image", *(f"from {count}" for count in counts), "truth"]
    for axes, title in zip(rows[0], titles, strict=True):
        axes.set_title(title, fontsize=9.5)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture; exit with one line where that cannot be done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 2:
        sys.exit("usage: python -m gqn_probe.report.readme_picture FOLDER OUT.png")
    try:
        study = read_study(arguments[0])
        with style.applied():
            print(style.write_png(readme_picture(study), Path(arguments[1])))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

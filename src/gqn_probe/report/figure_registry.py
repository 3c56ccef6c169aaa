"""All figures of a study by the name of their file: ``draw_figures`` writes them, the page inlines them."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figures import accuracy as by_count
from gqn_probe.report.figures import classifier_curves as curves
from gqn_probe.report.figures import controls_figure as controls
from gqn_probe.report.figures import images as pictures
from gqn_probe.report.figures import representation_geometry as matrices
from gqn_probe.study_results import Study, read_study

FIGURES: dict[str, Callable[[Study], Figure | None]] = {
    "accuracy-by-count": by_count.accuracy_by_count,
    "model-accuracy": curves.model_accuracy,
    "model-loss": curves.model_loss,
    "confusion": matrices.confusion,
    "controls": controls.controls,
    "reconstruction-error": by_count.reconstruction_error,
    "reconstructions": pictures.reconstructions,
    "decodability": by_count.decodability,
    "similarity": matrices.similarity,
    "geometry": matrices.geometry,
}


def draw_figures(folder: str | Path) -> list[Path]:
    """Write each figure that the study in ``folder`` has data for, ``study/figures/NAME.png``; their paths.

    Raises ValueError where the folder holds no study.
    """
    study = read_study(folder)
    written = []
    with style.applied():
        for name, draw in FIGURES.items():
            figure = draw(study)
            if figure is not None:
                written.append(style.write_png(figure, study.folder / "figures" / f"{name}.png"))
    return written

"""The page of a training run, ``report.html``: curves beside baselines, pictures and settings.

``python -m gqn_probe.report.training_page FOLDER`` makes it again, also while the run goes on.
"""

import argparse
import base64
import csv
import io
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from gqn_probe.atomic_io import write_text
from gqn_probe.report import style
from gqn_probe.report.html_elements import Section, document, escape, figure, figures, folded, settings, table
from gqn_probe.report.terminal import say

SHOWN = 5  # pictures of validations, from the first to the last
LARGEST_FILM = 4_000_000  # bytes of the orbit film that the page takes in
BY_COUNT = re.compile(r"val/context_(\d+)/sample/rmse")
PROBES = re.compile(r"(?:val/)?probe/(.+)")

# What the columns of metrics.csv mean; the first pattern that a name matches explains it.
COLUMNS = {
    r"epoch|step": "how far training has come; a step is one update of the weights",
    r".*/(sample)/.*": "of samples of the prior: held-out views predicted from the context alone",
    r".*/(shuffled)/.*": "of samples from another scene's context: what ignoring the context would give",
    r".*/(other_camera)/.*": "of samples for another camera: what ignoring the camera would give",
    r".*/(nearest_view)/.*": "of the context view whose camera is nearest to the query's",
    r".*/(mean_image)/.*": "of the mean of all images",
    r".*/(reconstruction)/.*": "of the posterior, which has seen the query",
    r".*probe/.*": "how well linear and nearest-neighbour probes read r of a small fixed set",
    r".*/kl_step/.*": "KL of each generator step, in nats",
    r".*/kl": "KL from posterior to prior, in nats: what the query adds to the context",
    r".*/nats_above_floor": "negative log-likelihood above the constant that sigma sets, in nats a view: 0 is perfect",
    r".*/nats_per_dimension": "negative log-likelihood a colour value, in nats",
    r".*/nats": "negative log-likelihood of a view, in nats",
    r".*/elbo": "evidence lower bound, in nats a view",
    r".*/loss": "what is minimised",
    r".*/mse": "mean squared error on 0 to 1",
    r".*/sigma": "standard deviation of the pixels' Gaussian, which sinks over training",
    r".*/learning_rate": "step size of the optimiser",
    r".*/gradient_norm": "length of the gradient before it is clipped",
    r".*_per_second": "speed, validation apart",
}
ENDINGS = (
    "Endings: rmse in grey levels (0 to 255), mse on 0 to 1, psnr in decibels, ssim from 0 to 1, object_ on the "
    "object's pixels alone; context_K: from K context images."
)
COLUMNS_OF_PICTURES = (
    "A row an object: one of its context images, the view asked for, what is predicted of it from more and more "
    "images, from another object's, and what is drawn with the view itself at hand (posterior)."
)


class Curve(NamedTuple):
    """A column of metrics.csv in words."""

    column: str
    label: str


class Plan(NamedTuple):
    """A figure before it is drawn."""

    curves: Sequence[Curve]
    unit: str
    scale: str  # "linear" or "log"
    caption: str


GREY = "RMSE (grey levels, 0–255)"
ERRORS = (
    Curve("val/sample/rmse", "predicted from the context"),
    Curve("val/shuffled/rmse", "from another scene's context"),
    Curve("val/nearest_view/rmse", "nearest context view"),
    Curve("val/mean_image/rmse", "mean image"),
)
LIKELIHOOD = (Curve("train/nats_above_floor", "training scenes"), Curve("val/nats_above_floor", "held-out scenes"))
INFORMATION = (Curve("train/kl", "training scenes"), Curve("val/kl", "held-out scenes"))
SCHEDULES = (Curve("train/sigma", "sigma"), Curve("train/learning_rate", "learning rate"))


def build_training_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a training run's folder, whole or not at all; its path.

    Raises:
        ValueError: the folder holds no ``metrics.csv``.
    """
    folder = Path(folder)
    metrics = read_metrics(folder / "metrics.csv")
    provenance = _json(folder / "provenance.json")
    parts = [
        Section(
            "predictions",
            "Does it predict?",
            _drawn(metrics, "counts", beside=_film(folder / "orbit.gif")) + _pictures(folder),
        ),
        Section("probes", "What r comes to know", _drawn(metrics, "probes")),
        Section("curves", "Likelihood and schedules", _drawn(metrics, "likelihood", "information", "schedules")),
        Section("next", "How to go on", _commands(folder)),
        Section("columns", "The columns of metrics.csv", _columns(metrics)),
        Section("settings", "Settings", _settings(provenance)),
    ]
    steps = int(max(metrics["step"][0])) + 1 if metrics else 0
    name = provenance.get("config", {}).get("name", "train")
    title = f"Training of a GQN, {steps} steps" if name == "train" else f"Training of {name}, {steps} steps"
    path = folder / "report.html"
    write_text(
        path,
        document(
            "training",
            title,
            beside=_summary(metrics) + _drawn(metrics, "errors"),
            hero=_latest(folder),
            sections=[p for p in parts if p.body],
        ),
    )
    return path


def read_metrics(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """The steps and values of every column of ``metrics.csv``, empty cells left out.

    Raises:
        ValueError: there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"no metrics.csv in {path.parent}: give the folder that train.py wrote")
    found: dict[str, tuple[list[float], list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if text and name:
                    steps, values = found.setdefault(name, ([], []))
                    steps.append(float(row["step"]))
                    values.append(float(text))
    return found


def _drawn(metrics: dict[str, tuple[list[float], list[float]]], *names: str, beside: str = "") -> str:
    """Those of the named figures that there is data for, and what stands beside them."""
    by_count = sorted((int(m[1]), name) for name in metrics if (m := BY_COUNT.fullmatch(name)))
    probes = sorted(name for name in metrics if PROBES.fullmatch(name))
    of_counts = [Curve(name, f"from {count} image{'s' * (count > 1)}") for count, name in by_count]
    of_probes = [Curve(name, name.partition("probe/")[2].replace("/", ", ")) for name in probes]
    plans = {
        "errors": Plan(ERRORS, GREY, "linear", "Error of held-out views, beside what would be reached with another "
                       "scene's context, by the nearest context image as it is, and by the mean of all images."),
        "counts": Plan(of_counts, GREY, "linear", "Error of held-out views by number of context images."),
        "probes": Plan(of_probes, "score", "linear", "How well probes read r: accuracy of classes, R² of values."),
        "likelihood": Plan(LIKELIHOOD, "nats above the floor", "log", "Negative log-likelihood of a view, above the "
                           "constant that sigma sets."),
        "information": Plan(INFORMATION, "KL (nats)", "linear", "What a query adds to what the context told."),
        "schedules": Plan(SCHEDULES, "value", "log", "Standard deviation of pixels, and learning rate."),
    }  # fmt: skip
    shown = []
    with style.applied():
        for name in names:
            plan = plans[name]
            drawing = draw_curves(metrics, plan.curves, plan.unit, plan.scale)
            if drawing is not None:
                svg = style.inline_svg(style.svg_text(drawing, name), name, plan.caption)
                shown.append(figure(svg, plan.caption))
    return figures(*shown, beside)


def draw_curves(
    metrics: dict[str, tuple[list[float], list[float]]], curves: Sequence[Curve], unit: str, scale: str
) -> Figure | None:
    """The curves that have points, over steps; None where none has."""
    curves = [curve for curve in curves if curve.column in metrics]
    if not curves:
        return None
    drawn = style.blank(5.2, 3.5)
    axes = drawn.add_subplot()
    for i, curve in enumerate(curves):
        color, marker, dash = style.SERIES[i % len(style.SERIES)]
        steps, values = metrics[curve.column]
        mark = marker if len(steps) < 30 else ""
        axes.plot(steps, values, color=color, linestyle=dash, marker=mark, label=curve.label)
    axes.set(xlabel="step", ylabel=unit, yscale=scale)
    if scale == "linear":
        shown = [value for curve in curves for value in metrics[curve.column][1]]
        axes.set_ylim(min(0.0, *shown), 1.08 * max(shown) if max(shown) > 0 else None)
    style.legend_above(axes)
    return drawn


def _summary(metrics: dict[str, tuple[list[float], list[float]]]) -> str:
    """The last validation in one row of numbers."""
    cells = "".join(
        f"<div><dt>{escape(curve.label)}, RMSE</dt><dd>{metrics[curve.column][1][-1]:.1f}</dd></div>"
        for curve in ERRORS
        if curve.column in metrics
    )
    lead = "<p>The last validation, on objects that were not trained on, in grey levels from 0 to 255:</p>"
    return f'{lead}<dl class="stats">{cells}</dl>' if cells else "<p>Nothing was validated yet.</p>"


def _pictures(folder: Path) -> str:
    """Validation pictures from the first to the last but one, which opens the page."""
    every = sorted((folder / "images").glob("*.png"))
    places = np.unique(np.linspace(0, len(every) - 1, SHOWN).round().astype(int))[:-1] if every else []
    shown = "".join(_picture(every[place], _step(every[place])) for place in places)
    return f"<h3>Held-out scenes, from step to step</h3>{figures(shown)}" if shown else ""


def _latest(folder: Path) -> str:
    """The last validation's picture."""
    every = sorted((folder / "images").glob("*.png"))
    return _picture(every[-1], f"Held-out objects at {_step(every[-1])}. {COLUMNS_OF_PICTURES}") if every else ""


def _step(path: Path) -> str:
    return f"step {int(path.stem)}" if path.stem.isdigit() else path.stem


def _film(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > LARGEST_FILM:
        return ""
    return _picture(path, "Around held-out objects, a row each: the truth, then predictions from more and more images.")


def _picture(path: Path, caption: str) -> str:
    """A picture inside the page; a film as it is."""
    data, kind = path.read_bytes(), path.suffix[1:]
    if kind == "png":
        with Image.open(path) as image:
            buffer = io.BytesIO()
            image.save(buffer, format="webp", quality=85)
        data, kind = buffer.getvalue(), "webp"
    address = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img alt="" src="{address}"><figcaption>{escape(caption)}</figcaption></figure>'


def _commands(folder: Path) -> str:
    place = shlex.quote(str(folder))
    weights = shlex.quote(f"checkpoint={folder / 'weights.safetensors'}")
    lines = {
        "What does r know? The study of these weights:": f"python probe.py -m context=2..15 {weights}",
        "Train on from the last checkpoint, for more steps or hours:": f"python train.py resume={place}",
        "Make this page again:": f"python -m gqn_probe.report.training_page {place}",
    }
    return "".join(f"<p>{escape(why)}</p><pre>{escape(command)}</pre>" for why, command in lines.items())


def _columns(metrics: dict[str, Any]) -> str:
    """What each group of columns means, and how many there are of it."""
    if not metrics:
        return ""
    groups: dict[str, list[str]] = {}
    for name in metrics:
        known = next((text for pattern, text in COLUMNS.items() if re.fullmatch(pattern, name)), "")
        groups.setdefault(known, []).append(name)
    rows = [[_names(names), len(names), meaning] for meaning, names in groups.items()]
    body = table(["columns", "number", "meaning"], rows, text=("meaning",))
    return f"<p>{ENDINGS}</p>" + folded(f"{len(metrics)} columns", body)


def _settings(provenance: dict[str, Any]) -> str:
    """Where the run came from, and folded below it every setting; its metrics stand above."""
    left_out = {"config", "metrics", "last_validation"}
    facts = {name: value for name, value in provenance.items() if name not in left_out}
    config = provenance.get("config")
    return (settings(facts) if facts else "") + (folded("Every setting", settings(config)) if config else "")


def _names(names: Sequence[str]) -> str:
    """One name, or the first and last of several."""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the page of the folder named; exit with one line where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.report.training_page", description="Make a training run's report again."
    )
    parser.add_argument("folder", help="what train.py wrote, such as outputs/train/DATE/TIME")
    try:
        say(str(build_training_report(parser.parse_args(arguments).folder)))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

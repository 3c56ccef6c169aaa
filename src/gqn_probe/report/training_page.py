"""Page of a training run, ``report.html``: error curves beside baselines, pictures and settings.

``python -m gqn_probe.report.training_page FOLDER`` makes it again, also while the run goes on.
"""

import argparse
import io
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gqn_probe.atomic_io import write_text
from gqn_probe.report.html_elements import Section, collapsible, data_url, document, escape, figures, settings, table
from gqn_probe.report.terminal import say
from gqn_probe.report.training_curves import ERRORS, Metrics, curve_figures, probe_figure, read_metrics

SHOWN = 5  # pictures of validations, from the first to the last
LARGEST_FILM = 4_000_000  # bytes of the orbit film that the page takes in

# What the columns of metrics.csv mean; the first pattern that a name matches explains it.
COLUMNS = {
    r"epoch|step": "progress of training; a step is one update of the weights",
    r".*/(sample)/.*": "prediction of held-out views: samples from the context and the camera alone (the prior)",
    r".*/(mean_of_samples)/.*": "the mean of several such samples",
    r".*/(shuffled)/.*": "the same from another scene's context: the error of ignoring the context",
    r".*/(other_camera)/.*": "the same for another camera: the error of ignoring the camera",
    r".*/(nearest_view)/.*": "the context view with the nearest camera, taken as prediction",
    r".*/(mean_image)/.*": "the mean of all images, taken as prediction",
    r".*/(reconstruction)/.*": "reconstruction by the posterior, which sees the view itself",
    r".*probe/.*": "score of linear and nearest-neighbour probes of r on a small fixed set of objects",
    r".*/kl_step/.*": "KL of each generator step, in nats",
    r".*/kl": "KL from posterior to prior, in nats: information that the view itself adds to the context",
    r".*/nats_above_floor": "negative log-likelihood of a view, in nats above a perfect prediction's",
    r".*/nats_per_dimension": "negative log-likelihood per pixel and colour channel, in nats",
    r".*/nats": "negative log-likelihood of a view, in nats",
    r".*/elbo": "evidence lower bound of a view, in nats",
    r".*/loss": "the loss that training minimises",
    r".*/mse": "mean squared error of images from 0 to 1",
    r".*/sigma": "standard deviation of the pixels' Gaussian, which decreases over training",
    r".*/learning_rate": "learning rate of the optimiser",
    r".*/gradient_norm": "norm of the gradient before clipping",
    r".*_per_second": "speed of training, without validation",
}
ENDINGS = (
    "Last parts of names: rmse and spread (of samples) in grey levels (0 to 255), mse of images from 0 to 1, psnr in "
    "decibels, ssim and iou (of silhouettes) from 0 to 1; object_ is over the object's pixels alone; context_K is from "
    "K context images."
)
COLUMNS_OF_PICTURES = (
    "A row for each object. From the left: one of its context images, the true view, predictions from more and more "
    "images, a prediction from another object's images, and the posterior, which sees the true view."
)


def build_training_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a training run's folder, atomically, and return its path.

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
            curve_figures(metrics, "counts", beside=_film(folder / "orbit.gif")) + _pictures(folder),
        ),
        Section("probes", "What can be decoded from r?", probe_figure(metrics)),
        Section("curves", "Likelihood and schedules", curve_figures(metrics, "likelihood", "information", "schedules")),
        Section("next", "Next steps", _commands(folder)),
        Section("columns", "Columns of metrics.csv", _columns(metrics)),
        Section("settings", "Settings and provenance", _settings(provenance)),
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
            beside=_summary(metrics) + curve_figures(metrics, "errors"),
            hero=_latest(folder),
            sections=[p for p in parts if p.body],
        ),
    )
    return path


def _summary(metrics: Metrics) -> str:
    """Return the last validation as a row of numbers."""
    cells = "".join(
        f"<div><dt>{escape(curve.label)}</dt><dd>{metrics[curve.column][1][-1]:.1f}</dd></div>"
        for curve in ERRORS
        if curve.column in metrics
    )
    lead = "<p>Errors at the last validation, on objects that were not trained on, in grey levels (0 to 255):</p>"
    return f'{lead}<dl class="stats">{cells}</dl>' if cells else "<p>No validation has been run yet.</p>"


def _pictures(folder: Path) -> str:
    """Return validation pictures from the first to the last but one; the last opens the page."""
    every = sorted((folder / "images").glob("*.png"))
    places = np.unique(np.linspace(0, len(every) - 1, SHOWN).round().astype(int))[:-1] if every else []
    shown = "".join(_picture(every[place], _step(every[place])) for place in places)
    return collapsible("The same objects at earlier steps", figures(shown))


def _latest(folder: Path) -> str:
    """Return the last validation's picture."""
    every = sorted((folder / "images").glob("*.png"))
    return _picture(every[-1], f"Held-out objects at {_step(every[-1])}. {COLUMNS_OF_PICTURES}") if every else ""


def _step(path: Path) -> str:
    return f"step {int(path.stem)}" if path.stem.isdigit() else path.stem


def _film(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > LARGEST_FILM:
        return ""
    return _picture(path, "The camera moves around held-out objects.")


def _picture(path: Path, caption: str) -> str:
    """Return a picture as an inline image; a film stands still for readers who asked their system for less motion."""
    with Image.open(path) as image:
        buffer = io.BytesIO()
        image.save(buffer, format="webp", quality=85)
    still = data_url(buffer.getvalue(), "image/webp")
    film = path.suffix == ".gif"
    address = data_url(path.read_bytes(), "image/gif") if film else still
    calm = f'<source media="(prefers-reduced-motion: reduce)" srcset="{still}">' if film else ""
    shown = f'<picture>{calm}<img alt="{escape(caption)}" src="{address}"></picture>'
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"


def _commands(folder: Path) -> str:
    place = shlex.quote(str(folder))
    weights = shlex.quote(f"checkpoint={folder / 'weights.safetensors'}")
    lines = {
        "Study what r of these weights represents:": f"python probe.py -m context=2..15 {weights}",
        "Continue training from the last checkpoint:": f"python train.py resume={place}",
        "Make this page again:": f"python -m gqn_probe.report.training_page {place}",
    }
    return "".join(f"<p>{escape(why)}</p><pre>{escape(command)}</pre>" for why, command in lines.items())


def _columns(metrics: Metrics) -> str:
    """Return the meaning of each group of columns, and their number."""
    if not metrics:
        return ""
    groups: dict[str, list[str]] = {}
    for name in metrics:
        known = next((text for pattern, text in COLUMNS.items() if re.fullmatch(pattern, name)), "")
        groups.setdefault(known, []).append(name)
    rows = [[_names(names), len(names), meaning] for meaning, names in groups.items()]
    body = table(["columns", "number", "meaning"], rows, text=("meaning",))
    return f"<p>{ENDINGS}</p>" + collapsible(f"{len(metrics)} columns", body)


def _settings(provenance: dict[str, Any]) -> str:
    """Return the run's provenance; settings and the fingerprints of the data open on a click."""
    folded = {"config": "Every setting", "data": "Data and splits"}
    left_out = {*folded, "metrics", "last_validation"}
    facts = {name: value for name, value in provenance.items() if name not in left_out}
    command = f"<pre>{escape(facts.pop('command'))}</pre>" if "command" in facts else ""
    parts = [collapsible(title, settings(provenance[name])) for name, title in folded.items() if provenance.get(name)]
    return command + (settings(facts) if facts else "") + "".join(parts)


def _names(names: Sequence[str]) -> str:
    """Return one name, or the first and last of several."""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the page of a training run's folder again; exit with a one-line error where that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.report.training_page", description="Make a training run's report again."
    )
    parser.add_argument("folder", help="output folder of train.py, such as outputs/train/DATE/TIME")
    try:
        say(str(build_training_report(parser.parse_args(arguments).folder)))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

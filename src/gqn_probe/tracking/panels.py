"""Panels of the W&B dashboard as code: a saved workspace and a report.

The metrics are those that the study's runs (job types ``count`` and ``study``) and training runs (``train``)
log. Needs the extra ``dashboard``.
"""

import warnings
from typing import Any, NamedTuple

with warnings.catch_warnings():
    # wandb-workspaces 0.4 still declares validators in pydantic's first style.
    warnings.filterwarnings("ignore", message="Pydantic V1 style", category=DeprecationWarning)
    from wandb_workspaces import workspaces
    from wandb_workspaces.reports import v2 as reports

from gqn_probe.report.figure_registry import OF_COUNTS, find_figures

GREY = "RMSE (0 to 255)"
CONTROLS: list[Any] = [f"control/{name}" for name in ("none", "norm", "direction", "untrained", "transfer", "pixels")]
CUBES = ("cubes/true", *(f"cubes/from {count}" for count in (1, 2, 3, 5, 15)))  # by the counts of conf/probe.yaml
HEADLINE = ("headline/accuracy", "headline/norm_only", "headline/difference")


class Part(NamedTuple):
    """Section of the workspace and chapter of the report: panels over the runs of one job type."""

    title: str
    text: str
    job_type: str
    panels: list[Any]


def parts() -> list[Part]:
    """Return the parts of the dashboard in reading order, with new panels at each call, since W&B gives each an id."""
    return [
        Part(
            "Does it predict?",
            "Predictions of held-out views from r and the camera alone, by number of context images; samples and their "
            "spread.",
            "study",
            [
                _by_count("Error of predictions", ["reconstruction/sample_rmse", "reconstruction/rmse"], GREY),
                reports.MediaBrowser(title="Look around", media_keys=["viewer"], num_columns=1),
                _figures("Predictions", "reconstructions", "reconstruction-error", "samples", "hidden-sides"),
                _figures("Is its uncertainty calibrated?", "uncertainty", "calibration", "likelihood"),
            ],
        ),
        Part(
            "What can be decoded from r?",
            "Properties of the object decoded from r, beside an untrained network of the same architecture and summed "
            "pixels; the object's cubes, decoded from r.",
            "study",
            [
                reports.MediaBrowser(title="Cubes decoded from r, in 3-D", media_keys=list(CUBES), num_columns=3),
                _figures("Cubes decoded from r, by count", "cubes"),
                _figures("Properties", "decodability", "learning-curves"),
                _by_count("Properties by count", None, "accuracy or R²", regex="^decodability/"),
            ],
        ),
        Part(
            "Can the number of images be decoded from r?",
            "Accuracy of the headline's probe on its input (headline/probe, headline/input), beside the same probe on "
            "the length of r alone.",
            "study",
            [
                _by_count("Accuracy by count", ["accuracy/headline", "accuracy/norm"], "accuracy", top=1.0),
                _figures("Which counts are confused", "confusion"),
                *(reports.ScalarChart(title=key.split("/")[1].replace("_", " "), metric=key) for key in HEADLINE),
            ],
        ),
        Part(
            "Why can the count be decoded?",
            "Where the count is decoded as well under a control as from r, what the control leaves of r is enough; "
            "how r changes with the count.",
            "study",
            [
                _figures("Controls", "controls", "similarity", "geometry", "embedding", "neighbourhoods"),
                reports.BarPlot(title="Accuracy under each control", metrics=CONTROLS),
            ],
        ),
        Part(
            "Pictures, count by count",
            "Context, truth, prediction and error of some scenes, in a table that can be filtered; one run a count.",
            "count",
            [
                _by_count("Error of predictions", ["sample/rmse", "reconstruction/rmse"], GREY),
                reports.WeavePanelSummaryTable(table_name="reconstructions"),
            ],
        ),
        *_other_analyses(),
        Part(
            "Comparison of settings",
            "Every measure of every setting of a sweep over more than the context.",
            "sweep",
            [
                _figures("Every measure by setting", "compare"),
                reports.WeavePanelSummaryTable(table_name="comparison"),
            ],
        ),
        Part(
            "Training",
            "Training of the GQN: negative log-likelihood above a perfect prediction's, KL, and prediction errors with "
            "the true and with another scene's context.",
            "train",
            [
                _by_step("Loss", ["train/loss"], "nats"),
                _by_step("Nats above a perfect prediction", ["train/nats_above_floor", "val/nats_above_floor"], "nats"),
                _by_step("KL", ["train/kl", "val/kl"], "nats"),
                _by_step(
                    "Prior samples: true and another scene's context",
                    ["val/sample/rmse", "val/shuffled/rmse"],
                    GREY,
                ),
                _by_step("Colour of prior samples", ["val/sample/color_cosine", "val/shuffled/color_cosine"], "cosine"),
                reports.MediaBrowser(title="Held-out scenes", media_keys=["val/predictions"], num_columns=1),
            ],
        ),
    ]


def workspace(entity: str, project: str) -> workspaces.Workspace:
    """Return a saved view of the project with a section for each part, and every run in its run set."""
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="Context-count study",
        sections=[
            workspaces.Section(name=part.title, panels=part.panels, is_open=part.job_type != "train")
            for part in parts()
        ],
        runset_settings=workspaces.RunsetSettings(pinned_columns=[f"summary:{key}" for key in HEADLINE]),
    )


def report(entity: str, project: str) -> reports.Report:
    """Return a document of the same panels, with a chapter for each part over the runs of its job type."""
    blocks: list[Any] = [reports.TableOfContents()]
    for part in parts():
        runs = reports.Runset(
            entity=entity, project=project, name=f"{part.job_type} runs", filters=f"JobType = '{part.job_type}'"
        )
        grid = reports.PanelGrid(runsets=[runs], panels=part.panels)
        blocks += [reports.H1(part.title), reports.P(part.text), grid]
    return reports.Report(
        entity=entity,
        project=project,
        title="What a GQN's scene representation encodes, by number of context images",
        description="Written by gqn_probe.tracking.dashboard.",
        blocks=blocks,
    )


def _by_count(
    title: str, keys: list[Any] | None, unit: str, *, top: float | None = None, regex: str | None = None
) -> reports.LinePlot:
    return reports.LinePlot(
        title=title,
        x="context",
        y=keys or [],
        metric_regex=regex,
        title_x="context images",
        title_y=unit,
        range_y=(0.0 if top else None, top),
        smoothing_type="none",
        max_runs_to_show=100,
    )


def _other_analyses() -> list[Part]:
    """Return a part for each section of figures that the study of counts does not have."""
    found: dict[str, list[str]] = {}
    for name, each in find_figures().items():
        if each.section not in OF_COUNTS:
            found.setdefault(each.section, []).append(name)
    text = "Another analysis of the same representation: analysis={} of probe.py."
    return [Part(id.replace("_", " "), text.format(id), id, [_figures(id, *names)]) for id, names in found.items()]


def _figures(title: str, *names: str) -> reports.MediaBrowser:
    return reports.MediaBrowser(title=title, media_keys=[f"figures/{name}" for name in names], num_columns=2)


def _by_step(title: str, keys: list[Any], unit: str) -> reports.LinePlot:
    return reports.LinePlot(title=title, x="trainer/global_step", y=keys, title_x="step", title_y=unit)

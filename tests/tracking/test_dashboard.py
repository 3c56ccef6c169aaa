"""The W&B dashboard without W&B: what it asks for of a stand-in on the loopback."""

import json
import os
import subprocess
import sys

import pytest
from fake_wandb import fake_wandb

pytest.importorskip("wandb_workspaces")

from gqn_probe.report.figure_registry import find_figures
from gqn_probe.tracking import dashboard, panels

KEY = "0" * 40


def test_the_workspace_plots_against_the_count():
    spec = json.loads(panels.workspace("team", "counts")._to_model().spec.model_dump_json(by_alias=True))
    sections = spec["section"]["panelBankConfig"]["sections"]
    plots = [p["config"] for s in sections for p in s["panels"] if p["viewType"] == "Run History Line Plot"]
    axes = {metric: plot["xAxis"] for plot in plots for metric in plot["metrics"] or []}
    assert axes["accuracy/headline"] == axes["accuracy/norm"] == axes["sample/rmse"] == "context"
    assert axes["train/loss"] == "trainer/global_step"


def test_every_figure_of_a_study_has_a_place():
    """In the order in which a person asks."""
    parts = panels.parts()
    assert [part.title for part in parts][:4] == [
        "Does it predict?",
        "What can be decoded from r?",
        "Can the number of images be decoded from r?",
        "Why can the count be decoded?",
    ]
    shown = {key for part in parts for panel in part.panels for key in getattr(panel, "media_keys", [])}
    known = {f"figures/{name}" for name, each in find_figures().items() if each.section != "training"}
    assert known - shown == {"figures/accuracy-by-count"}  # whose lines W&B draws itself


def test_help_is_given(capsys: pytest.CaptureFixture[str]):
    dashboard.main(["-h"])
    assert capsys.readouterr().out.startswith("usage: python -m gqn_probe.tracking.dashboard entity=ENTITY")


@pytest.mark.slow
def test_both_pages_are_saved():
    with fake_wandb() as server:
        done = _command(server.address, "entity=team", "project=counts")
    assert done.returncode == 0, done.stderr
    assert f"{server.address}/team/counts" in done.stdout
    assert [(v["type"], v["entityName"], v["projectName"]) for v in server.views] == [
        ("project-view", "team", "counts"),
        ("runs", "team", "counts"),
    ]
    assert '"jobType"' in server.views[1]["spec"]
    assert "accuracy/norm" in server.views[1]["spec"]


@pytest.mark.slow
def test_no_server_is_one_line():
    done = _command("http://127.0.0.1:9", "entity=team", "project=counts")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("the dashboard of team/counts was not saved: http://127.0.0.1:9 does not answer: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["entity=a"], ["entity=a", "project="], ["entity=a", "project=b", "c=d"]])
def test_bad_arguments_show_the_usage(arguments: list[str]):
    with pytest.raises(SystemExit, match=r"usage: .*entity=ENTITY"):
        dashboard.main(arguments)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gqn_probe.tracking.panels", None)
    monkeypatch.delattr("gqn_probe.tracking.panels")
    with pytest.raises(ValueError, match=r"gqn-probe\[dashboard\]"):
        dashboard.save_dashboard("a", "b")


def _command(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {"WANDB_BASE_URL": address, "WANDB_API_KEY": KEY, "WANDB_HTTP_TIMEOUT": "60", "WANDB_SILENT": "true"}
    command = [sys.executable, "-W", "error", "-m", "gqn_probe.tracking.dashboard", *arguments]
    return subprocess.run(
        command, env=_environment() | settings, capture_output=True, text=True, timeout=900, check=False
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}

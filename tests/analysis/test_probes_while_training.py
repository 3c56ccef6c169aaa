"""Probes while training, on codes that hold what is known."""

from typing import Any

import pytest
import torch
from fitting import fit
from tiny import tiny_module

from gqn_probe.analysis.probes_while_training import ProbesWhileTraining, probe_scores
from gqn_probe.data import render_scenes
from gqn_probe.report.training_curves import draw_probes

STRENGTHS = (1e-6, 1e-2, 1e2)


def test_what_codes_hold_is_read_and_no_more():
    scenes = render_scenes(60, views=5, size=4)
    assert scenes.factors is not None
    colors = scenes.factors.colors.mean(dim=1)
    noise = 0.01 * torch.rand(60, 5, 4, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(60, 5, 1)
    phi = torch.cat([colors[:, None].expand(-1, 5, -1), ones, noise], dim=2)
    known = probe_scores(phi, scenes, [2, 5], ["color", "occupancy"], STRENGTHS)
    assert known["color/linear/context_2"] > 0.99
    assert known["color/nearest/context_5"] > 0.5
    assert known["occupancy/linear/context_5"] < 0.1
    assert known["count/linear"] == known["count/nearest"] == 1.0
    nothing = probe_scores(noise / noise.sum(dim=1, keepdim=True), scenes, [5], ["color"], STRENGTHS)
    assert nothing.keys() == {"color/linear/context_5", "color/nearest/context_5"}
    assert nothing["color/linear/context_5"] < 0.1


@pytest.mark.slow
def test_curves_are_logged_at_their_turn(tmp_path):
    settings: dict[str, Any] = {"counts": [2, 4], "targets": ["color"], "strengths": STRENGTHS}
    probes = ("linear", "nearest")
    names = {f"count/{p}" for p in probes} | {f"color/{p}/context_{k}" for p in probes for k in (2, 4)}
    too_few = 1  # own images may have one scene for validation
    for every, objects, expected in ((1, 8, names), (2, 8, set()), (None, 8, set()), (1, too_few, set())):
        probing = ProbesWhileTraining(every=every, objects=objects, **settings)
        trainer = fit(tiny_module(), tmp_path, callbacks=[probing])
        logged = {name.removeprefix("val/probe/") for name in trainer.callback_metrics if "probe" in name}
        assert logged == expected
        metrics = {name: ([0.0], [float(value)]) for name, value in trainer.callback_metrics.items()}
        figure = draw_probes(metrics)  # the page of the run shows every curve
        assert sum(len(axes.lines) for axes in (figure.axes if figure else ())) == len(expected)


@pytest.mark.parametrize(
    ("changed", "message"), [({"targets": ["taste"]}, "has taste: choose from"), ({"every": 0}, "every=0 must be 1")]
)
def test_impossible_settings_are_refused(changed, message):
    settings = {"every": 1, "objects": 8, "counts": [2], "targets": ["color"], "strengths": STRENGTHS}
    with pytest.raises(ValueError, match=message):
        ProbesWhileTraining(**(settings | changed))

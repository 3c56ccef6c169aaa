"""The GQN computes what its plain step-by-step form computes, gradients included."""

from typing import Any

import pytest
import torch
from plain_gqn import PlainGQN, to_ours

from gqn_probe.model import GQN

ENCODERS = {
    "tower": {"class": "Tower", "width": 16, "channels": 12, "pooled": False},
    "pool": {"class": "Tower", "width": 16, "channels": 12, "pooled": True},
    "pyramid": {"class": "Pyramid", "channels": 16, "size": 16},
}


def settings(encoder: str = "pool", **changes: Any) -> dict[str, Any]:
    generator = {
        "class": "Generator",
        "steps": 3,
        "representation_channels": ENCODERS[encoder]["channels"],
        "pooled": encoder != "tower",
        "size": 16,
        "hidden_channels": 8,
        "canvas_channels": 6,
        "latent_channels": 2,
        "kernel": 5,
        "shared": True,
        "canvas_input": True,
        "core": "spread",
        "deviation": "exp",
        "output": "linear",
        "normalise": False,
    }
    aggregation = changes.pop("aggregation", "sum")
    return {
        "class": "GQN",
        "encoder": ENCODERS[encoder],
        "generator": generator | changes,
        "aggregation": aggregation,
    }


CASES = {
    "paper": settings(shared=False),
    "paper-shared": settings(),
    "paper-tower": settings("tower", canvas_input=False, aggregation="mean"),
    "paper-pyramid": settings("pyramid", shared=False, deviation="softplus"),
    "repeat": settings(core="repeat", shared=False, output="sigmoid"),
    "repeat-tower": settings("tower", core="repeat", normalise=True),
    "released": settings(core="released", canvas_input=False, deviation="softplus", output="sigmoid"),
    "project": settings("tower", core="project", kernel=3, canvas_input=False, normalise=True),
    "project-pool": settings(core="project", shared=False),
    "one-step": settings(steps=1, shared=False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equals_the_plain_form(name: str, dtype: torch.dtype) -> None:
    plain = PlainGQN(CASES[name]).to(dtype)
    gqn = GQN.from_settings(CASES[name]).to(dtype)
    gqn.load_state_dict(to_ours(plain.state_dict(), CASES[name]))
    frames, cameras = torch.rand(2, 3, 3, 16, 16, dtype=dtype), torch.randn(2, 3, 7, dtype=dtype)
    query, camera = torch.rand(2, 3, 16, 16, dtype=dtype), torch.randn(2, 7, dtype=dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12

    torch.manual_seed(1)
    mean, kl, representation = plain(frames, cameras, query, camera)
    torch.manual_seed(1)
    output = gqn(frames, cameras, query, camera)
    for ours, theirs in ((output.mean, mean), (output.kl, kl), (output.representation, representation)):
        assert error(ours, theirs) < tolerance

    # As in training: the likelihood weighs thousands of pixels, the KL is a sum already.
    (100 * (mean - query).square().sum() + kl.sum()).backward()
    (100 * (output.mean - query).square().sum() + output.kl.sum()).backward()
    expected = to_ours(
        {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in plain.named_parameters()}, CASES[name]
    )
    for name_, parameter in gqn.named_parameters():
        if parameter.grad is None:  # the only step meets zero states alone
            assert name == "one-step"
            assert not expected[name_].any(), name_
        else:
            assert error(parameter.grad, expected[name_]) < tolerance, name_

    torch.manual_seed(2)
    sample = plain(frames, cameras, None, camera)[0]
    torch.manual_seed(2)
    assert error(gqn.sample(frames, cameras, camera), sample) < tolerance


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Greatest difference relative to the greatest value."""
    return float(((ours - theirs).abs().max() / theirs.abs().max()).detach())

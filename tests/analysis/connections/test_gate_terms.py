"""Terms of the gates: they sum to what the core computes, and shares tell a planted cause."""

import pytest
import torch
from torch import Tensor

from gqn_probe.analysis.connections.gate_terms import CORES, GATES, Shares, gate_rows, trace_terms
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested_task
from gqn_probe.model import GQN, Generator, Tower
from gqn_probe.model.conv_lstm import Core
from gqn_probe.model.released import ReleasedCore


def _gqn(core: str, *, shared: bool, canvas: bool) -> GQN:
    pooled = core in ("repeat", "released")
    generator = Generator(
        steps=3, representation_channels=6, pooled=pooled, size=16, hidden_channels=4, canvas_channels=4,
        latent_channels=2, kernel=3, shared=shared, canvas_input=canvas, core=core, deviation="softplus",
        output="linear", normalise=False,
    )  # fmt: skip
    return GQN(encoder=Tower(width=4, channels=6, pooled=pooled), generator=generator, aggregation="sum").eval()


@pytest.mark.parametrize(
    ("core", "shared", "canvas"),
    [("project", True, False), ("spread", False, True), ("repeat", True, True), ("released", True, False)],
)
def test_terms_sum_to_the_gates(core: str, shared: bool, canvas: bool, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    gqn = _gqn(core, shared=shared, canvas=canvas)
    gates: list[Tensor] = []
    for kind in (Core, ReleasedCore):
        original = kind.forward

        def forward(self, constant, latent, others, state, original=original):
            gates.append(self.pre_activations(constant, latent, others, state))
            return original(self, constant, latent, others, state)

        monkeypatch.setattr(kind, "forward", forward)
    frames, cameras = torch.rand(2, 3, 16, 16), torch.rand(2, 7)
    r = gqn.aggregate(gqn.encode(frames[:, None], cameras[:, None]))
    traced = trace_terms(gqn, r, cameras, frames)
    generation, seen = gates[:3], gates[3:]
    inference = seen[::2]  # a step infers, then generates
    for name, wanted in (("generation", generation), ("inference", inference)):
        assert len(traced[name]) == 3
        for terms, gate in zip(traced[name], wanted, strict=True):
            torch.testing.assert_close(torch.stack([*terms.values()]).sum(dim=0), gate, atol=1e-5, rtol=1e-4)
    assert ("canvas" in traced["inference"][-1]) == canvas
    assert traced["generation"][0].keys() == {"bias", "r", "camera", "latent"}
    assert traced["generation"][1].keys() == {"bias", "r", "camera", "latent", "hidden state"}


def test_shares_of_a_planted_cause():
    """A gate of which one term is three times another: shares .9 and .1, none of what does not vary."""
    torch.manual_seed(0)
    noise = torch.randn(2, 400, 8, 2, 2)
    terms = {
        "bias": torch.ones(400, 8, 2, 2),
        "r": 3 * noise[0],
        "camera": noise[1],
        "latent": torch.ones(400, 8, 2, 2),
    }
    shares = Shares(400)
    for part in torch.arange(400).split(150):
        shares.add_means({"generation": [{name: term[part] for name, term in terms.items()}]})
    for part in torch.arange(400).split(150):
        shares.add_products({"generation": [{name: term[part] for name, term in terms.items()}]}, part)
    rows = {(r.target, r.input): r for r in shares.rows(5)}
    assert {target for target, _ in rows} == set(GATES)
    for gate in GATES:
        r, camera, latent = (rows[gate, name] for name in ("r", "camera", "latent"))
        assert r.low is not None
        assert r.high is not None
        assert r.low < 0.9 < r.high
        assert latent.value == pytest.approx(0, abs=1e-9)
        assert r.value + camera.value == pytest.approx(1)


def test_a_generator_that_does_not_read_r_has_no_share_of_it(study_inputs: StudyInputs):
    weights = [w for name, w in study_inputs.gqn.generator.named_parameters() if "injection.representation.w" in name]
    assert len(weights) == 2
    for weight in weights:
        torch.nn.init.zeros_(weight)
    rows = [*gate_rows(study_inputs, nested_task(24, 6, 2, 0), count=2, scenes=10, seed=0)]
    assert {r.probe for r in rows} == set(CORES)
    assert all(r.value == 0 for r in rows if r.input == "r")
    for case in {(r.probe, r.control, r.target) for r in rows}:
        assert sum(r.value for r in rows if (r.probe, r.control, r.target) == case) == pytest.approx(1)

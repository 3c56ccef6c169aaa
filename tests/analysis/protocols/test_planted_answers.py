"""Planted answers: the study must find what is there, and not what is not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import is_sum
from gqn_probe.analysis.protocols.count_probe import CountProbe
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import Control
from gqn_probe.model import GQN
from gqn_probe.results import Outcome

from ..conftest import CONTROLS, Planted

COUNTS = (2, 3, 4, 5)
OBJECTS = 100


@pytest.fixture(autouse=True)
def _no_tally(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planted is r, not the views that it would be a sum of."""
    monkeypatch.setattr("gqn_probe.analysis.protocols.count_probe.TALLY_CONTROLS", ())


def _study(r: Tensor, planted: Planted, settings: StudySettings, folder: Path, *controls: str) -> Outcome:
    settings = replace(settings, controls=controls, probes={"linear": settings.probes["linear"]}, seeds=3)
    probe_inputs = ProbeInputs(planted(r), COUNTS, settings, folder / "rows", r)
    return CountProbe(probe_inputs, settings).outcome()


def _accuracy(outcome: Outcome, control: str) -> float:
    rows = [r for r in outcome.results if (r.control, r.metric, r.seed, r.count) == (control, "accuracy", None, None)]
    return rows[0].value


@pytest.mark.slow
def test_count_in_the_norm_alone(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    length = torch.tensor(COUNTS)[:, None] + 0.3 * torch.randn(OBJECTS, 4, 1)
    direction = torch.rand(12) + 0.01 * torch.rand(OBJECTS, 1, 12)
    outcome = _study(
        torch.nn.functional.normalize(direction, dim=-1) * length, planted, settings, tmp_path, "direction"
    )
    assert _accuracy(outcome, "norm") > 0.7
    assert _accuracy(outcome, "direction") < 0.35
    assert outcome.headline["difference_low"] <= 0 <= outcome.headline["difference_high"]  # pyright: ignore[reportOperatorIssue]
    assert "not shown to exceed chance" in outcome.answers[0].licence


@pytest.mark.slow
def test_count_in_the_direction_alone(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    noisy = torch.nn.functional.one_hot(torch.arange(4), 12) + 0.2 * torch.randn(OBJECTS, 4, 12)
    r = torch.nn.functional.normalize(noisy, dim=-1) * (1 + torch.rand(OBJECTS, 4, 1))
    outcome = _study(r, planted, settings, tmp_path, "direction")
    assert _accuracy(outcome, "none") > 0.85
    assert _accuracy(outcome, "norm") < 0.4
    assert outcome.headline["difference_low"] > 0.3  # pyright: ignore[reportOperatorIssue]
    assert "the direction r / |r| alone, " in outcome.answers[0].licence
    assert "not shown" not in outcome.answers[0].licence


@pytest.mark.slow
def test_direction_and_length_both_tell_the_count(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    """Their probes do not differ, which must not be taken for "no more than its length"."""
    r = torch.nn.functional.one_hot(torch.arange(4), 12) * torch.tensor(COUNTS)[:, None] + 0.05 * torch.rand(100, 4, 12)
    outcome = _study(r, planted, settings, tmp_path, "direction")
    for control in ("none", "norm", "direction"):
        assert _accuracy(outcome, control) > 0.98
    assert "the direction r / |r| alone, " in outcome.answers[0].licence
    assert "not shown" not in outcome.answers[0].licence
    assert "not shown" not in outcome.answers[0].text


@pytest.mark.slow
def test_a_channel_apart_from_the_length(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    """A linear probe reads one channel, and less well than the length tells: that is not "no more than its length"."""
    channel = 0.1 * (torch.tensor(COUNTS)[:, None] + 0.5 * torch.randn(OBJECTS, 4, 1))
    rest = (torch.tensor(COUNTS)[:, None] ** 2 - channel**2).sqrt() * torch.randn(OBJECTS, 4, 1).sign()
    outcome = _study(torch.cat([channel, rest], dim=2), planted, settings, tmp_path, "direction")
    assert _accuracy(outcome, "norm") > 0.98
    assert 0.4 < _accuracy(outcome, "none") < 0.85
    assert outcome.headline["difference_high"] < 0  # pyright: ignore[reportOperatorIssue]
    told = f"{outcome.answers[0].text} {outcome.answers[0].licence}"
    assert told.startswith("Yes. ")
    assert "any sum" not in told


@pytest.mark.slow
def test_views_that_share_a_gain(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    """No length tells the count, but the direction does, and so do ratios of norms, which no gain changes."""
    views = torch.nn.functional.one_hot(torch.arange(5), 12) + 0.02 * torch.rand(OBJECTS, 5, 12)
    gain = 10 ** (2 * torch.rand(OBJECTS, 1, 1))
    outcome = _study((gain * views.cumsum(dim=1))[:, 1:], planted, settings, tmp_path, "direction")
    assert _accuracy(outcome, "direction") > 0.95
    assert "the direction r / |r| alone, " in outcome.answers[0].licence
    assert "not shown" not in f"{outcome.answers[0].text} {outcome.answers[0].licence}"


def test_nothing_but_a_sum_is_a_tally(planted: Planted, settings: StudySettings) -> None:
    gqn = planted(torch.rand(30, 4, 12)).gqn
    averaging = GQN.from_settings(gqn.settings() | {"aggregation": "mean"})
    assert is_sum(gqn, "pooled")
    assert not any(is_sum(gqn, name) for name in ("views", "hidden.1", "kl"))
    assert not is_sum(averaging, "pooled")


@pytest.mark.slow
def test_labels_that_leak_by_object(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    """Rows name their object, and a probe that may see an object's other rows knows its label."""
    r = torch.eye(OBJECTS)[:, None].expand(OBJECTS, 4, OBJECTS) + 0.01 * torch.randn(OBJECTS, 4, OBJECTS)
    outcome = _study(r, planted, settings, tmp_path, "control_task")
    assert _accuracy(outcome, "control_task") > 0.9
    assert _accuracy(outcome, "none") == pytest.approx(1 / 4, abs=0.1)


@pytest.mark.slow
def test_noise(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    outcome = _study(torch.randn(OBJECTS, 4, 12), planted, settings, tmp_path, "shuffled")
    for control in ("none", "norm", "shuffled"):
        assert _accuracy(outcome, control) == pytest.approx(1 / 4, abs=0.07)
    p = [row.value for row in outcome.results if row.metric == "permutation_p"]
    assert min(p) > 0.01
    assert outcome.answers[0].text.startswith("Not shown. ")


@pytest.mark.slow
def test_shuffled_counts_score_at_chance(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    r = torch.tensor(COUNTS)[:, None] * (1 + 0.1 * torch.rand(OBJECTS, 1, 12))
    outcome = _study(r, planted, settings, tmp_path, "shuffled")
    assert _accuracy(outcome, "none") > 0.9
    assert _accuracy(outcome, "shuffled") == pytest.approx(1 / 4, abs=0.07)


def test_a_mean_divided_by_its_count_is_refused(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    r = torch.rand(30, 4, 12)
    study_inputs = planted(r)
    averaging = GQN.from_settings(study_inputs.gqn.settings() | {"aggregation": "mean"})
    divided = replace(
        settings, controls=("divided",), control={**CONTROLS, "divided": Control("", transform="divided")}
    )
    probe_inputs = ProbeInputs(replace(study_inputs, network=averaging), COUNTS, divided, tmp_path / "rows", r)
    with pytest.raises(ValueError, match="pooled is no sum, so that dividing it"):
        probe_inputs.dataset("pooled", "divided", 0)


def test_nothing_is_mixed_across_parts(planted: Planted, settings: StudySettings, tmp_path: Path) -> None:
    probe_inputs = ProbeInputs(
        planted(torch.rand(30, 4, 12)), COUNTS, settings, tmp_path / "rows", torch.rand(30, 4, 12)
    )
    owners = torch.arange(30).repeat_interleave(len(COUNTS))
    for seed in probe_inputs.seeds("transfer"):
        split = probe_inputs.dataset("pooled", "transfer", seed).split
        mixed = [probe_inputs._selection("incoherent", count).scenes for count in COUNTS]
        parts = [set(torch.cat([rows[owners[part]].flatten() for rows in mixed]).tolist()) for part in split]
        assert not (parts[0] | parts[1]) & parts[2]

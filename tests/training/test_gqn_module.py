"""The training objective, its random streams, and what a checkpoint holds."""

import pytest
import pytorch_lightning as L
import torch
from tiny import SIZE, constant, tiny_module

from gqn_probe.model import GQN, InputSpec
from gqn_probe.training.gqn_module import GQNModule, elbo_terms, stream
from gqn_probe.training.schedules import Schedule
from gqn_probe.types import Episode


@pytest.fixture
def attached() -> GQNModule:
    """A module as a trainer has it."""
    module = tiny_module()
    module.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    return module


def episode(queries: int = 1) -> Episode:
    return Episode(
        context_frames=torch.rand(2, 3, 3, SIZE, SIZE),
        context_cameras=torch.rand(2, 3, 7),
        query_frames=torch.rand(2, queries, 3, SIZE, SIZE),
        query_cameras=torch.rand(2, queries, 7),
    )


def test_the_papers_loss_is_the_negative_elbo():
    module, task = tiny_module(), episode()
    torch.manual_seed(1)
    loss, scores = module.objective(task)
    torch.manual_seed(1)
    output = module.gqn(task.context_frames, task.context_cameras, task.query_frames[:, 0], task.query_cameras[:, 0])
    pixels = torch.distributions.Normal(output.mean, 0.7).log_prob(task.query_frames[:, 0])
    elbo = pixels.sum(dim=(1, 2, 3)) - output.kl
    torch.testing.assert_close(loss, -elbo.mean())
    torch.testing.assert_close(scores["nats_above_floor"], scores["nats"] - 0.56226 * 3 * SIZE**2, rtol=1e-4, atol=0)


def test_several_queries_are_as_many_tasks_on_one_encoding():
    module, task = tiny_module(), episode(queries=2)
    torch.manual_seed(1)
    loss, _ = module.objective(task)
    r = module.gqn.aggregate(module.gqn.encode(task.context_frames, task.context_cameras))
    torch.manual_seed(1)
    output = module.gqn.predict(
        r.repeat_interleave(2, dim=0), task.query_frames.flatten(0, 1), task.query_cameras.flatten(0, 1)
    )
    terms = elbo_terms(output, task.query_frames.flatten(0, 1), 0.7)
    torch.testing.assert_close(loss, terms["nats"] + terms["kl"])


def test_the_weights_of_the_objective_are_what_they_say():
    task = episode()
    torch.manual_seed(0)
    module = tiny_module(kl_weight=constant(0.5), mode_weight=2.0)
    torch.manual_seed(1)
    loss, scores = module.objective(task)
    mode_nats = scores["mode_nats_above_floor"] + scores["nats"] - scores["nats_above_floor"]
    torch.testing.assert_close(loss, scores["nats"] + 0.5 * scores["kl"] + 2.0 * mode_nats)


def test_streams_differ_by_step_rank_and_purpose():
    seeds = {
        stream(seed, step, rank, use)
        for seed in range(3)
        for step in range(5)
        for rank in range(3)
        for use in (1, 2, 3)
    }
    seeds |= {stream(seed, step) for seed in range(3) for step in range(5)}  # those that ranks share
    assert len(seeds) == 3 * 5 * 3 * 3 + 3 * 5
    assert stream(0, 1, 2) == stream(0, 1, 2)


def test_a_checkpoint_says_how_to_rebuild_the_network(attached):
    checkpoint = {}
    attached.on_save_checkpoint(checkpoint)
    rebuilt = GQN.from_settings(checkpoint["gqn_settings"])
    rebuilt.load_state_dict(attached.gqn.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": (3, 1)}, r"training.context=\[3, 1\]"),
        ({"reference_count": 5}, r"reference_count=5 is not in \[1, 2\]"),
        ({"validation_counts": (0, 2)}, r"training.validation_counts=\[0, 2\] must be 1 or more each"),
        ({"queries": 0}, "training.queries=0 must be at least 1"),
        ({"sigma": Schedule(start=0, end=1.0, steps=5)}, "training.sigma must stay above 0, got start=0 and end=1.0"),
    ],
)
def test_refuses_settings_that_contradict_each_other(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_module(**changes)


def test_refuses_the_checkpoint_of_another_network(attached):
    checkpoint = {}
    attached.on_save_checkpoint(checkpoint)
    attached.on_load_checkpoint(checkpoint)
    checkpoint["gqn_settings"]["aggregation"] = "mean"
    with pytest.raises(ValueError, match="another network"):
        attached.on_load_checkpoint(checkpoint)


def test_refuses_to_go_on_with_other_data(attached):
    checkpoint = {}
    attached.gqn.input_spec = InputSpec((SIZE, SIZE), "cos_sin")
    attached.on_save_checkpoint(checkpoint)
    attached.on_load_checkpoint(checkpoint)
    attached.gqn.input_spec = InputSpec((SIZE, SIZE), "sin_cos")
    with pytest.raises(ValueError, match=r"add data\.camera_order=cos_sin"):
        attached.on_load_checkpoint(checkpoint)
    del checkpoint["trained_on"]  # as older ones
    attached.on_load_checkpoint(checkpoint)

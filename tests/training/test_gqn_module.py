"""The training objective, its random streams, and what a checkpoint holds."""

import pytest
import pytorch_lightning as L
import torch
from fitting import fit
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


class SeenScenes(L.Callback):
    """Notes which scenes each training batch has."""

    def __init__(self) -> None:
        self.scenes: list[list[int]] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.scenes.append(batch.scenes.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("online", ["false", "true"])
def test_overfitting_shows_the_same_scenes_in_every_epoch(tmp_path, online):
    seen = SeenScenes()
    fit(tiny_module(), tmp_path, f"data.online={online}", overfit_batches=1, max_steps=3, callbacks=[seen])
    assert seen.scenes == [[*range(8)]] * 3


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
    module = tiny_module(kl_weight=constant(0.5))
    loss, scores = module.objective(task)
    torch.testing.assert_close(loss, scores["nats"] + 0.5 * scores["kl"])


def test_gradients_keep_their_size_as_the_deviation_falls():
    norms = {}
    for scaled in (False, True):
        for sigma in (1.0, 0.1):
            torch.manual_seed(0)
            module = tiny_module(kl_weight=constant(0.0), sigma=constant(sigma), scale_by_variance=scaled)
            torch.manual_seed(1)
            loss, _ = module.objective(episode())
            loss.backward()
            norms[scaled, sigma] = torch.nn.utils.clip_grad_norm_(module.gqn.parameters(), torch.inf).item()
    assert norms[True, 0.1] == pytest.approx(norms[True, 1.0], rel=1e-3)
    assert norms[False, 0.1] == pytest.approx(100 * norms[False, 1.0], rel=1e-3)


@pytest.mark.slow
def test_sizes_of_images_follow_the_share_of_the_steps(tmp_path):
    module = tiny_module(sizes=[{"size": 8, "until": 0.5, "queries": 2}, {"size": 16, "until": 1.0, "queries": 1}])
    seen = []
    objective = module.objective

    def spy(task):
        seen.append(tuple(task.query_frames.shape[1:]))
        return objective(task)

    module.objective = spy  # pyright: ignore[reportAttributeAccessIssue]
    fit(module, tmp_path, max_steps=4, limit_val_batches=0)
    assert seen == [(2, 3, 8, 8)] * 2 + [(1, 3, 16, 16)] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([(8, 0.6), (16, 0.5)], r"training.sizes end at \[0.6, 0.5\] of the steps"),
        ([(8, 0.5), (16, 0.9)], r"training.sizes end at \[0.5, 0.9\] of the steps"),
        ([(8, 0.5), (8, 1.0)], "training.sizes ends at size=8, but data.size=16"),
        ([(12, 0.5), (16, 1.0)], "size=12, of which data.size=16 is not a multiple"),
    ],
)
def test_sizes_that_do_not_lead_to_the_datas_are_refused(sizes, message, tmp_path):
    module = tiny_module(sizes=[{"size": size, "until": until, "queries": 1} for size, until in sizes])
    with pytest.raises(ValueError, match=message):
        fit(module, tmp_path)


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
        ({"sigma": Schedule(start=0, end=1.0, steps=5)}, "training.sigma must stay above 0: start=0, end=1.0"),
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

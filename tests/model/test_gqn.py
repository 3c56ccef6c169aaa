"""What the network as a whole promises: invariances, determinism, shapes, and refusals."""

import pytest
import torch
from torch import Tensor

from gqn_probe.model import GQN
from gqn_probe.model.gaussian import gaussian_nll

Scenes = tuple[Tensor, Tensor, Tensor, Tensor]


def test_order_of_context_views_does_not_matter(points_gqn: GQN, scenes: Scenes) -> None:
    frames, cameras, *_ = scenes
    order = torch.randperm(frames.shape[1])
    r = points_gqn.aggregate(points_gqn.encode(frames, cameras))
    permuted = points_gqn.aggregate(points_gqn.encode(frames[:, order], cameras[:, order]))
    torch.testing.assert_close(r, permuted)
    mispaired = points_gqn.aggregate(points_gqn.encode(frames[:, order], cameras))
    assert not torch.allclose(r, mispaired)


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_a_mask_is_the_subset(points_gqn: GQN, scenes: Scenes, aggregation: str) -> None:
    gqn = GQN.from_settings(points_gqn.settings() | {"aggregation": aggregation})
    phi = gqn.encode(*scenes[:2])
    mask = torch.tensor([[True, False, True, True, False]]).expand(3, -1)
    torch.testing.assert_close(gqn.aggregate(phi, mask), gqn.aggregate(phi[:, [0, 2, 3]]))
    spoiled = phi.clone()
    spoiled[:, 1] = torch.nan
    assert torch.equal(gqn.aggregate(spoiled, mask), gqn.aggregate(phi, mask))


def test_scenes_in_a_batch_equal_scenes_one_by_one(points_gqn: GQN, scenes: Scenes) -> None:
    together = points_gqn(*scenes, deterministic=True)
    for scene in range(3):
        alone = points_gqn(*(tensor[scene : scene + 1] for tensor in scenes), deterministic=True)
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[scene : scene + 1], part, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_deterministic_gives_the_same_bits_twice(points_gqn: GQN, scenes: Scenes) -> None:
    frames, cameras, _, camera = scenes
    for first, second in zip(
        points_gqn(*scenes, deterministic=True), points_gqn(*scenes, deterministic=True), strict=True
    ):
        assert torch.equal(first, second)
    samples = [points_gqn.sample(frames, cameras, camera, deterministic=True) for _ in range(2)]
    assert torch.equal(*samples)
    assert not torch.equal(*(points_gqn.sample(frames, cameras, camera) for _ in range(2)))
    assert not torch.equal(points_gqn(*scenes).mean, points_gqn(*scenes).mean)


def test_parts_make_up_the_whole(points_gqn: GQN, scenes: Scenes) -> None:
    frames, cameras, query, camera = scenes
    whole = points_gqn(*scenes, deterministic=True)
    r = points_gqn.aggregate(points_gqn.encode(frames, cameras))
    assert torch.equal(whole.mean, points_gqn.predict(r, query, camera, deterministic=True).mean)
    sample = points_gqn.sample(frames, cameras, camera, deterministic=True)
    assert torch.equal(sample, points_gqn.sample_from(r, camera, deterministic=True, size=(32, 32)))
    assert sample.shape == whole.mean.shape == query.shape
    torch.testing.assert_close(whole.kl, whole.kl_steps.sum(dim=1))
    assert (whole.kl > 0).all()


def test_trace_goes_through_the_prediction(points_gqn: GQN, scenes: Scenes) -> None:
    _, _, query, camera = scenes
    whole = points_gqn(*scenes, deterministic=True)
    trace = points_gqn.trace(whole.representation, query, camera)
    steps = points_gqn.generator.steps
    assert all(tensor.shape[:2] == (3, steps) for tensor in trace if isinstance(tensor, torch.Tensor))
    torch.testing.assert_close(trace.kl, whole.kl_steps)
    # The image is read from the last canvas, which is never formed otherwise.
    torch.testing.assert_close(points_gqn.generator.canvas.observe(trace.canvas[:, -1]), whole.mean)


def test_moments_stay_fp32_under_autocast(points_gqn: GQN, scenes: Scenes) -> None:
    full = points_gqn(*scenes, deterministic=True)
    with torch.autocast("cpu", torch.bfloat16):
        half = points_gqn(*scenes, deterministic=True)
    assert half.mean.dtype == half.kl.dtype == torch.float32
    torch.testing.assert_close(half.kl, full.kl, rtol=0.05, atol=0)
    torch.testing.assert_close(half.mean, full.mean, rtol=0, atol=0.02)


def test_every_parameter_is_trained(points_gqn: GQN, scenes: Scenes) -> None:
    output = points_gqn(*scenes)
    ((output.mean - scenes[2]).square().sum() + output.kl.sum()).backward()
    for name, parameter in points_gqn.named_parameters():
        if parameter.requires_grad:  # the scale of a known lens is not learned
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_the_first_image_is_near_grey(points_gqn: GQN, scenes: Scenes) -> None:
    mean = points_gqn(*scenes).mean
    assert (mean.mean() - 0.5).abs() < 0.1
    assert mean.std() < 0.2


def test_misfits_are_refused(points_gqn: GQN, scenes: Scenes) -> None:
    frames, cameras, *_ = scenes
    with pytest.raises(ValueError, match="expected 7 camera values, got 5"):
        points_gqn.encode(frames, cameras[..., :5])
    with pytest.raises(ValueError, match="divisible by 4"):
        points_gqn.encode(frames[..., :30], cameras)
    settings = points_gqn.settings()
    with pytest.raises(ValueError, match="pooled"):
        GQN.from_settings(settings | {"generator": settings["generator"] | {"pooled": True}})
    with pytest.raises(ValueError, match="deviation=log"):
        GQN.from_settings(settings | {"generator": settings["generator"] | {"deviation": "log"}})


def test_a_model_bound_to_a_size_says_so(points_gqn: GQN, scenes: Scenes) -> None:
    settings = points_gqn.settings()
    bound = GQN.from_settings(settings | {"generator": settings["generator"] | {"core": "spread"}})
    with pytest.raises(ValueError, match="made for 64x64"):
        bound.encode(*scenes[:2])


@pytest.mark.slow
def test_importance_weighted_likelihood_lies_between_elbo_and_truth(points_gqn: GQN, scenes: Scenes) -> None:
    frames, cameras, query, camera = scenes
    with torch.no_grad():
        for parameter in points_gqn.generator.posterior.parameters():
            parameter.mul_(3)  # a posterior that the prior is far from
        r = points_gqn.aggregate(points_gqn.encode(frames, cameras))
        torch.manual_seed(0)
        elbo = torch.stack(
            [
                -gaussian_nll(output.mean, query, 0.5) - output.kl
                for output in (points_gqn.predict(r, query, camera) for _ in range(64))
            ]
        ).mean(dim=0)
        one = torch.stack([points_gqn.log_likelihood(r, query, camera, sigma=0.5, samples=1) for _ in range(64)])
        many = points_gqn.log_likelihood(r, query, camera, sigma=0.5, samples=64)
    error = one.std(dim=0) / 8
    assert ((one.mean(dim=0) - elbo).abs() < 4 * error + 0.1).all()
    assert (many > elbo + error).all()

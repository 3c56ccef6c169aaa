"""The representation of points: where things are seen is where projection says, whatever order, size or lens."""

# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

import math

import pytest
import torch
from plain_points import PlainPoints
from small_networks import small_generator

from gqn_probe.data.stimuli.cameras import encode_cameras, facing_origin
from gqn_probe.model import GQN, InputSpec, Points, load_gqn, save_weights
from gqn_probe.model.attention import RayAttention, log_spread
from gqn_probe.model.points import evenly_in_ball, evenly_in_cube
from gqn_probe.model.rays import Rays, ray_features
from gqn_probe.types import Lens

LENS = Lens("orthographic", 1.0)


def make_points(lens: Lens = LENS, **changed) -> Points:
    torch.manual_seed(0)
    settings = {"points": 60, "channels": 5, "width": 16, "heads": 2, "blocks": 1, "looks": 2}
    points = Points(**{**settings, "sharpness": [10.0, 60.0], **changed})
    points.adapt(InputSpec((16, 16), "cos_sin", lens, (0.5, 0.5, 0.5)))
    return points.eval()


def make_gqn(**changed) -> GQN:
    generator = small_generator(representation_channels=16, hidden_channels=6, canvas_channels=6)
    return GQN(encoder=make_points(**changed), generator=generator, aggregation="sum").eval()


def some_views(views: int = 4, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    position = torch.randn(2, views, 3, generator=generator)
    raw = facing_origin(3 * position / position.norm(dim=-1, keepdim=True))
    return torch.rand(2, views, 3, size, size, generator=generator), encode_cameras(raw)


def test_codes_are_non_negative():
    gqn = make_gqn()
    frames, cameras = some_views()
    phi = gqn.encode(frames, cameras)
    assert phi.shape == (2, 4, 5, 60, 1)
    assert (phi >= 0).all()
    assert (phi > 0).any()


@pytest.mark.parametrize("lens", [LENS, Lens("perspective", 0.6)], ids=lambda lens: lens.kind)
def test_turning_the_camera_with_the_points_changes_nothing(lens):
    points, (frames, _) = make_points(lens), some_views()
    turn = 1.1
    rotation = torch.tensor([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1.0]])
    raw = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    turned = torch.cat([raw[:, :3] @ rotation.T, raw[:, 3:4] + turn, raw[:, 4:]], dim=1)
    before = points.layers(frames[0], encode_cameras(raw))["gathered"]
    unturned = points.layers(frames[0], encode_cameras(turned))["gathered"]
    with torch.no_grad():
        points.places.copy_(points.places @ rotation.T)
    after = points.layers(frames[0], encode_cameras(turned))["gathered"]
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    assert (unturned - before).abs().max() > 100 * (after - before).abs().max()


def test_one_network_takes_several_sizes_and_several_queries_a_scene():
    gqn = make_gqn()
    for size in (16, 32, 64):
        frames, cameras = some_views(size=size)
        representation = gqn.aggregate(gqn.encode(frames, cameras))
        assert representation.shape == (2, 5, 60, 1)
        queries = cameras[:, :3].flatten(0, 1)
        images = gqn.sample_from(representation, queries, deterministic=True, size=(size, size))
        assert images.shape == (6, 3, size, size)
        alone = gqn.sample_from(representation[1:], queries[4:5], deterministic=True, size=(size, size))
        torch.testing.assert_close(images[4:5], alone, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="3 query cameras cannot be shared evenly by 2 scenes"):
        gqn.sample_from(representation, queries[:3])


def test_a_ball_is_held_where_it_is():
    """Hand-set weights pass colours on; in views from two sides, only the point at the ball is near both rays."""
    points = make_points(points=400, sharpness=[400.0, 400.0], channels=16)
    ball = points.places[17].detach()
    azimuth = torch.tensor([0.3, 1.9, 3.9])
    raw = facing_origin(3 * torch.stack([azimuth.cos(), azimuth.sin(), torch.full((3,), 0.1)], dim=1))
    cameras = encode_cameras(raw)
    with torch.no_grad():
        rays = points.rays(cameras, (32, 32))
        distance = (ball - rays.origin).square().sum(-1) - ((ball - rays.origin) * rays.direction).sum(-1).square()
        frames = torch.full((3, 3, 32, 32), 0.5)
        frames[:, 0] += 0.5 * torch.exp(-50 * distance).unflatten(1, (32, 32))
        for parameter in points.gather.parameters():
            parameter.zero_()
        points.gather.log_sharpness.copy_(torch.tensor([400.0, 400.0]).log())
        points.gather.value.weight[:, 16:20] = 0.25  # the mean of red over a cell's quarters
        points.gather.linear_path.weight.copy_(torch.eye(16))
        # 128 pixels in place of 32: a cell of a quarter of the image's height is too coarse.
        large = torch.nn.functional.interpolate(frames, scale_factor=4)
        r = points(large, cameras).sum(dim=0)[:, :, 0]
    assert r.sum(dim=0).argmax() == 17


def test_a_query_sees_a_point_where_projection_says():
    """Hand-set weights make a look the mean of the values near a ray: brightest where the bright point projects to."""
    places = evenly_in_ball(200)
    look = RayAttention(width=4, heads=1, sharpness=[500.0, 500.0])
    points = torch.zeros(1, 200, 4)
    points[0, 31] = 1.0
    caster = make_points().rays
    raw = facing_origin(torch.tensor([[1.0, 2.0, 1.5]]))
    rays = caster(encode_cameras(raw), (8, 8))
    with torch.no_grad():
        for parameter in look.parameters():
            parameter.zero_()
        look.log_sharpness.copy_(log_spread([500.0, 500.0], 1))
        look.key_value.weight[4:] = torch.eye(4)
        look.output.weight.copy_(torch.eye(4))
        features = torch.cat([ray_features(rays), rays.direction], dim=-1)
        seen = look(torch.zeros(1, 64, 4), features, points, places)
    offset = places[31] - rays.origin[0]
    distance = offset.square().sum(dim=-1) - (offset * rays.direction[0]).sum(dim=-1).square()
    assert seen[0, :, 0].argmax() == distance.argmin()


def test_nearness_prefers_what_lies_in_front():
    places = torch.tensor([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]])  # both on the x axis
    look = RayAttention(width=2, heads=1, sharpness=[10.0, 10.0])
    rays = Rays(torch.zeros(1, 1, 3), torch.tensor([[[1.0, 0, 0]]]), torch.tensor([[1.0, 0, 0]]), torch.zeros(1, 3))
    points = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    with torch.no_grad():
        for parameter in look.parameters():
            parameter.zero_()
        look.nearness.fill_(10.0)
        look.key_value.weight[2:] = torch.eye(2)
        look.output.weight.copy_(torch.eye(2))
        features = torch.cat([ray_features(rays), rays.direction], dim=-1)
        seen = look(torch.zeros(1, 1, 2), features, points, places)
    assert seen[0, 0, 0] > 0.99


def test_weights_travel_with_lens_and_background(tmp_path):
    gqn = make_gqn()
    lens = Lens("perspective", None, centre=(0.0, 0.0, 1.0), radius=2.0, box=(2.0, 2.0, 1.0))
    gqn.adapt(InputSpec((16, 16), "sin_cos", lens, (0.1, 0.2, 0.3)))
    save_weights(gqn, tmp_path / "weights.safetensors", {})
    loaded = load_gqn(tmp_path / "weights.safetensors")
    assert loaded.input_spec == gqn.input_spec
    frames, cameras = some_views()
    torch.testing.assert_close(loaded.encode(frames, cameras), gqn.encode(frames, cameras))
    assert loaded.encoder.places.abs().amax(dim=0)[2] <= 0.5  # the box is flat


@pytest.mark.parametrize("place", [evenly_in_ball, evenly_in_cube])
def test_places_are_even(place):
    places = place(256)
    apart = torch.cdist(places, places).fill_diagonal_(torch.inf).amin(dim=1)
    assert places.abs().max() <= 1
    assert places.mean(dim=0).abs().max() < 0.1
    assert apart.min() > 0.2 * apart.mean()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"heads": 3}, "multiple of heads=3"), ({"sharpness": [0.0, 1.0]}, "above 0"), ({"camera_channels": 5}, "of 7")],
)
def test_impossible_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        make_points(**changed)


@pytest.mark.parametrize("lens", [LENS, Lens("perspective", 0.6)], ids=lambda lens: lens.kind)
def test_shared_and_fused_is_the_same_as_step_by_step(lens):
    """Outputs and gradients."""
    gqn = make_gqn(lens=lens)
    plain = make_gqn(lens=lens)
    plain.encoder = PlainPoints(**gqn.encoder.arguments)
    plain.load_state_dict(gqn.state_dict())
    (frames, cameras), queries = some_views(), 3
    losses = []
    for model in (gqn, plain):
        representation = model.aggregate(model.encode(frames, cameras))
        target, camera = frames[:, :queries].flatten(0, 1), cameras[:, :queries].flatten(0, 1)
        output = model.predict(representation, target, camera, deterministic=True)
        loss = 100 * (output.mean - target).square().sum() + output.kl.sum()
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[0], losses[1])
    for (name, ours), (_, theirs) in zip(gqn.named_parameters(), plain.named_parameters(), strict=True):
        if ours.grad is not None:
            assert theirs.grad is not None
            scale = theirs.grad.abs().max().item()
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-3 * scale, msg=name)


def test_read_outs_are_named_and_the_last_is_what_goes_on():
    gqn, (frames, cameras) = make_gqn(), some_views()
    layers = gqn.encoder.layers(frames[0], cameras[0])
    assert list(layers) == ["conv1", "conv2", "conv3", "gathered", "points"]
    representation = gqn.aggregate(gqn.encode(frames, cameras))
    read = gqn.encoder.reader_features(representation, cameras[:, 0], (4, 4))
    assert tuple(read) == gqn.encoder.reader_layers
    assert read["points"].shape == (2, 16, 60, 1)
    assert torch.equal(read["map"], gqn.encoder.query_features(representation, cameras[:, 0], (4, 4)))


def test_images_have_the_size_of_training_unless_told():
    gqn = make_gqn()
    gqn.generator.size = 64
    frames, cameras = some_views()
    representation = gqn.aggregate(gqn.encode(frames, cameras))
    assert gqn.sample_from(representation, cameras[:, 0]).shape == (2, 3, 64, 64)
    gqn.adapt(InputSpec((32, 32), "cos_sin", LENS, (0.5, 0.5, 0.5)))
    assert gqn.sample_from(representation, cameras[:, 0]).shape == (2, 3, 32, 32)

"""The ray caster against a slab test of every ray with every cube, and what its scenes promise."""

import pytest
import torch

from gqn_probe.data import render_scenes
from gqn_probe.data.cameras import camera_basis
from gqn_probe.data.render import DISTANCE, EDGE, HUES, background_grey, face_light, half_width, render_objects
from gqn_probe.types import Scenes


def slab_test(scenes: Scenes, size: int, supersample: int = 2) -> torch.Tensor:
    """Every ray against every cube in double precision, nearest hit wins."""
    assert scenes.factors is not None
    side, parts = size * supersample, scenes.factors.positions.shape[1]
    line = ((torch.arange(side) + 0.5) / side * 2 - 1).double() * half_width(parts)
    light = face_light()
    images = []
    for cubes, colors, cameras in zip(
        scenes.factors.positions.double(), scenes.factors.colors, scenes.cameras, strict=True
    ):
        for right, up, forward in zip(*camera_basis(cameras.double()), strict=True):
            origin = line[None, :, None] * right - line[:, None, None] * up - 10 * forward
            low = (cubes[:, None, None] - EDGE / 2 - origin) / forward
            high = (cubes[:, None, None] + EDGE / 2 - origin) / forward
            enter, face = torch.minimum(low, high).max(dim=-1)
            hit = enter < torch.maximum(low, high).amin(dim=-1)
            nearest = enter.masked_fill(~hit, torch.inf).argmin(dim=0, keepdim=True)
            face = face.gather(0, nearest)[0]
            shade = light[face, (forward <= 0).long()[face]]
            seen = (colors[nearest[0]] * shade[..., None] * 255).round()
            grey = background_grey(size, "plain").repeat_interleave(supersample).double()[:, None, None]
            rays = torch.where(hit.any(dim=0)[..., None], seen.double(), grey)
            image = rays.unfold(0, supersample, supersample).unfold(1, supersample, supersample).sum(dim=(-1, -2))
            images.append(torch.floor(image / supersample**2 + 0.5))
    return torch.stack(images).permute(0, 3, 1, 2).to(torch.uint8)


@pytest.mark.parametrize(("parts", "size"), [(1, 16), (5, 64), (7, 32), (12, 48)])
def test_equals_the_slab_test(parts: int, size: int) -> None:
    scenes = render_scenes(3, views=4, parts=parts, size=size, seed=5)
    torch.testing.assert_close(scenes.frames.flatten(0, 1), slab_test(scenes, size), atol=0, rtol=0)


def test_equals_the_slab_test_along_the_axes_and_from_the_poles() -> None:
    factors = render_scenes(2, views=1, seed=1).factors
    quarter = torch.pi / 2
    cameras = torch.tensor(
        [[0, 0, 3, 0, -quarter], [0, 0, -3, 1, quarter], [-3, 0, 0, 0, 0], [0, 3, 0, -quarter, 0]]
    ).expand(2, 4, 5)
    assert factors is not None
    frames = render_objects(factors, cameras, size=64)
    expected = slab_test(Scenes(frames, cameras, factors), 64)
    # Seen along an axis a ray may pass exactly between two cubes: those borders may fall to either.
    different = (frames.flatten(0, 1) != expected).any(dim=1).float().mean()
    assert different < 0.02


def test_a_scene_depends_on_its_seed_stream_and_number_alone() -> None:
    scenes = render_scenes(6, views=3, size=16, seed=2)
    again = render_scenes(2, views=3, size=16, seed=2, first=4)
    assert torch.equal(scenes.frames[4:], again.frames)
    assert torch.equal(scenes.cameras[4:], again.cameras)
    assert torch.equal(render_scenes(6, views=5, size=16, seed=2).cameras[:, :3], scenes.cameras)
    for other in (
        render_scenes(6, views=3, size=16, seed=3),
        render_scenes(6, views=3, size=16, seed=2, stream="test"),
    ):
        assert (other.cameras != scenes.cameras).any(dim=(1, 2)).all()


def test_factors_describe_the_objects() -> None:
    factors = render_scenes(200, views=1, parts=5, size=8).factors
    assert factors is not None
    torch.testing.assert_close(factors.positions.mean(dim=1), torch.zeros(200, 3), atol=1e-6, rtol=0)
    step = factors.positions.diff(dim=1).norm(dim=-1)
    torch.testing.assert_close(step, torch.full_like(step, EDGE))
    assert set(map(tuple, factors.colors.flatten(0, 1).tolist())) == {tuple(torch.tensor(hue).tolist()) for hue in HUES}
    assert (factors.parts == 5).all()
    assert len(factors.shape.unique()) == 18


def test_the_object_is_in_the_frame_and_easy_to_see() -> None:
    scenes = render_scenes(100, views=4, size=64)
    background = background_grey(64, "plain")[:, None]
    seen = (scenes.frames != background).any(dim=2)
    share = seen.float().mean(dim=(2, 3))
    assert 0.02 < share.min() < share.max() < 0.4
    assert not seen[..., 0].any() | seen[..., -1].any() | seen[..., 0, :].any() | seen[..., -1, :].any()
    torch.testing.assert_close(scenes.cameras[..., :3].norm(dim=-1), torch.full((100, 4), DISTANCE))


def test_a_gradient_background_gets_darker_downwards() -> None:
    top_left = render_scenes(1, views=1, size=32, background="gradient").frames[0, 0, :, :, 0].long()
    assert (top_left.diff(dim=-1) <= 0).all()
    assert (top_left[:, 0] > top_left[:, -1]).all()


def test_nothing_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="views=0: expected at least 1"):
        render_scenes(1, views=0)

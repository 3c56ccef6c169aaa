"""The ray caster against a slab test of every ray with every cube; distributions of the scenes."""

import pytest
import torch

from gqn_probe.data import render_scenes
from gqn_probe.data.stimuli.cameras import camera_basis
from gqn_probe.data.stimuli.ray_caster import EDGE, background_grey, face_light, render_objects
from gqn_probe.data.stimuli.scene_renderer import CAMERA_DISTANCE, DEFAULT_LENS, HUES, render_batch
from gqn_probe.types import Lens, Scenes

PERSPECTIVE = Lens("perspective", scale=0.35)


def slab_test(scenes: Scenes, size: int, supersample: int = 2, lens: Lens = DEFAULT_LENS) -> torch.Tensor:
    """Every ray against every cube in double precision, nearest hit wins."""
    assert scenes.factors is not None
    assert lens.scale is not None
    side = size * supersample
    line = ((torch.arange(side) + 0.5) / side * 2 - 1).double() * lens.scale
    light = face_light()
    images = []
    for cubes, colors, cameras in zip(
        scenes.factors.positions.double(), scenes.factors.colors, scenes.cameras, strict=True
    ):
        for eye, right, up, forward in zip(cameras[:, :3].double(), *camera_basis(cameras.double()), strict=True):
            plane = line[None, :, None] * right - line[:, None, None] * up
            parallel = lens.kind == "orthographic"
            origin, direction = (eye + plane, forward.expand_as(plane)) if parallel else (eye, forward + plane)
            low = (cubes[:, None, None] - EDGE / 2 - origin) / direction
            high = (cubes[:, None, None] + EDGE / 2 - origin) / direction
            enter, face = torch.minimum(low, high).max(dim=-1)
            hit = (enter < torch.maximum(low, high).amin(dim=-1)) & (parallel | (enter > 0))
            nearest = enter.masked_fill(~hit, torch.inf).argmin(dim=0, keepdim=True)
            face = face.gather(0, nearest)[0]
            shade = light[face, (direction <= 0).long().gather(-1, face[..., None])[..., 0]]
            seen = (colors[nearest[0]] * shade[..., None] * 255).round()
            grey = background_grey(size, "plain").repeat_interleave(supersample).double()[:, None, None]
            rays = torch.where(hit.any(dim=0)[..., None], seen.double(), grey)
            image = rays.unfold(0, supersample, supersample).unfold(1, supersample, supersample).sum(dim=(-1, -2))
            images.append(torch.floor(image / supersample**2 + 0.5))
    return torch.stack(images).permute(0, 3, 1, 2).to(torch.uint8)


@pytest.mark.parametrize("lens", [DEFAULT_LENS, PERSPECTIVE], ids=lambda lens: lens.kind)
@pytest.mark.parametrize(("parts", "size"), [(1, 16), (5, 64), (7, 32), (12, 48)])
def test_equals_the_slab_test(parts: int, size: int, lens: Lens) -> None:
    scenes = render_scenes(3, views=4, parts=parts, size=size, seed=5, lens=lens)
    expected = slab_test(scenes, size, lens=lens)
    different = (scenes.frames.flatten(0, 1) != expected).any(dim=1).float().mean()
    assert different < 2e-4  # a ray may graze an edge within rounding


@pytest.mark.parametrize("lens", [DEFAULT_LENS, PERSPECTIVE._replace(scale=0.8)], ids=lambda lens: lens.kind)
def test_a_camera_may_stand_near_and_look_past_the_object(lens: Lens) -> None:
    factors = render_scenes(2, views=1, seed=1, parts=8).factors
    assert factors is not None
    cameras = torch.tensor([[-2.0, 0.3, 0.4, 0.2, -0.1], [0.2, 1.8, -0.5, -1.3, 0.3], [-2.0, 0.1, 0, 2.9, 0.2]])
    cameras = cameras.expand(2, 3, 5)
    frames = render_objects(factors, cameras, lens=lens, size=48)
    expected = slab_test(Scenes(frames, cameras, factors), 48, lens=lens)
    assert (frames.flatten(0, 1) != expected).any(dim=1).float().mean() < 1e-3
    seen = (frames != background_grey(48, "plain")[:, None]).flatten(2).any(dim=2)
    assert seen[:, :2].all()
    if lens.kind == "perspective":
        assert not seen[:, 2].any()  # it looks away


def test_nearer_is_larger_in_perspective_alone() -> None:
    factors = render_scenes(1, views=1, parts=1).factors
    assert factors is not None
    cameras = torch.tensor([[[-3.0, 0, 0, 0, 0], [-1.5, 0, 0, 0, 0]]])
    for lens, ratio in ((DEFAULT_LENS, 1), (PERSPECTIVE, 2.875 / 1.375)):  # distances of the face that is seen
        frames = render_objects(factors, cameras, lens=lens, size=256)
        area = (frames != background_grey(256, "plain")[:, None]).any(dim=2).sum(dim=(-1, -2))[0]
        assert abs((area[1] / area[0]).sqrt() - ratio) < 0.03


def test_a_lens_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lens.kind=fisheye is not known: use orthographic or perspective"):
        render_scenes(1, lens=Lens("fisheye", 1.0))
    with pytest.raises(ValueError, match=r"lens.scale=-1 is not a length"):
        render_scenes(1, lens=Lens("perspective", -1))
    with pytest.raises(ValueError, match=r"cannot render without the scale of the lens: set data.lens.scale"):
        render_scenes(1, lens=Lens("perspective", None))


@pytest.mark.slow
def test_each_number_of_cubes_is_as_likely_and_alone_the_same() -> None:
    mixed = render_scenes(150, views=1, parts=[4, 8, 6], size=8, seed=3, split="test")
    assert mixed.factors is not None
    numbers, counts = mixed.factors.parts.unique(return_counts=True)
    assert numbers.tolist() == [4, 6, 8]
    assert (counts - 50).abs().max() < 4 * (150 * 2 / 9) ** 0.5
    for number in numbers.tolist():
        rows = mixed.factors.parts == number
        alone = render_scenes(150, views=1, parts=number, size=8, seed=3, split="test")
        assert alone.factors is not None
        assert torch.equal(alone.frames[rows], mixed.frames[rows])
        for name in ("positions", "colors"):
            padded = getattr(mixed.factors, name)[rows]
            assert torch.equal(padded[:, :number], getattr(alone.factors, name)[rows])
            assert padded[:, number:].isnan().all()
        assert torch.equal(mixed.factors.shape[rows], alone.factors.shape[rows])


@pytest.mark.parametrize("parts", [0, [], [4, 0], [5, 5]])
def test_numbers_of_cubes_that_cannot_be_meant_are_refused(parts: int | list[int]) -> None:
    with pytest.raises(ValueError, match="is not a number of cubes"):
        render_scenes(1, parts=parts)


def test_equals_the_slab_test_along_the_axes_and_from_the_poles() -> None:
    factors = render_scenes(2, views=1, seed=1).factors
    quarter = torch.pi / 2
    cameras = torch.tensor(
        [[0, 0, 3, 0, -quarter], [0, 0, -3, 1, quarter], [-3, 0, 0, 0, 0], [0, 3, 0, -quarter, 0]]
    ).expand(2, 4, 5)
    assert factors is not None
    frames = render_objects(factors, cameras, lens=DEFAULT_LENS, size=64)
    expected = slab_test(Scenes(frames, cameras, factors), 64)
    # Seen along an axis a ray may pass exactly between two cubes: those borders may fall to either.
    different = (frames.flatten(0, 1) != expected).any(dim=1).float().mean()
    assert different < 0.02


def test_a_scene_depends_on_its_seed_stream_and_number_alone() -> None:
    scenes = render_scenes(6, views=3, size=16, seed=2)
    again = render_batch(torch.tensor([4, 5]), views=3, parts=5, size=16, seed=2)
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
    assert 0.01 < share.min() < share.max() < 0.3
    assert not seen[..., 0].any() | seen[..., -1].any() | seen[..., 0, :].any() | seen[..., -1, :].any()
    torch.testing.assert_close(scenes.cameras[..., :3].norm(dim=-1), torch.full((100, 4), CAMERA_DISTANCE))


def test_a_gradient_background_gets_darker_downwards() -> None:
    top_left = render_scenes(1, views=1, size=32, background="gradient").frames[0, 0, :, :, 0].long()
    assert (top_left.diff(dim=-1) <= 0).all()
    assert (top_left[:, 0] > top_left[:, -1]).all()


def test_nothing_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="views=0: expected at least 1"):
        render_scenes(1, views=0)

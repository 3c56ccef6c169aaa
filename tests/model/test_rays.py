"""Rays: through the pixel where projection puts a point, and at the distance that geometry says."""

import math

import pytest
import torch

from gqn_probe.data.stimuli.cameras import camera_basis, encode_cameras
from gqn_probe.model.rays import RayCaster, point_features, ray_features
from gqn_probe.types import Lens

LENSES = [
    Lens("orthographic", 0.8, centre=(0.1, -0.2, 0.3), radius=0.5),
    Lens("perspective", 0.6, centre=(0.1, -0.2, 0.3), radius=2.0),
    Lens("perspective", None),
]


def some_cameras(number: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    raw = 3 * torch.randn(number, 5, generator=generator)
    raw[:, 4] = raw[:, 4].clamp(-1.5, 1.5)
    return raw


def cast(lens: Lens, raw: torch.Tensor, grid: tuple[int, int] = (4, 6), order: str = "cos_sin"):
    caster = RayCaster()
    caster.use(lens, order)
    return caster(encode_cameras(raw, order), grid)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.kind)
def test_the_inner_product_is_the_squared_distance(lens):
    rays = cast(lens, some_cameras())
    points = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    product = ray_features(rays) @ point_features(points).T
    apart = points - rays.origin[:, :, None]
    distance = torch.linalg.cross(apart, rays.direction[:, :, None].expand_as(apart)).norm(dim=-1)
    torch.testing.assert_close(product, distance**2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rays.direction.norm(dim=-1), torch.ones(6, 24))
    torch.testing.assert_close((rays.origin * rays.direction).sum(dim=-1), torch.zeros(6, 24), rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", ["cos_sin", "sin_cos"])
@pytest.mark.parametrize("lens", LENSES[:2], ids=lambda lens: lens.kind)
def test_a_point_lies_on_the_ray_of_the_cell_it_is_projected_to(lens, order):
    assert lens.scale is not None
    raw = some_cameras()
    basis = camera_basis(raw)
    row, column, depth = 1, 4, 2.5
    across, upward = (column + 0.5) / 6 * 2 - 1, 1 - (row + 0.5) / 4 * 2
    shift = lens.scale * (across * basis.right + upward * basis.up)
    point = raw[:, :3] + depth * basis.forward + shift * (depth if lens.kind == "perspective" else 1)
    unit = (point - torch.tensor(lens.centre)) / lens.radius
    rays = cast(lens, raw, order=order)
    product = torch.einsum("ngf,mf->ngm", ray_features(rays), point_features(unit))
    distance = torch.stack([product[camera, :, camera] for camera in range(len(raw))]).clamp(min=0).sqrt()
    assert (distance.argmin(dim=1) == row * 6 + column).all()
    assert distance[:, row * 6 + column].max() < 0.02


def test_depth_is_measured_from_the_camera_of_a_perspective_lens():
    raw = some_cameras()
    assert not cast(LENSES[0], raw).eye.any()
    torch.testing.assert_close(cast(LENSES[2], raw).eye, raw[:, :3])


def test_an_unknown_scale_is_learned_and_a_known_one_is_not():
    caster = RayCaster()
    caster.use(LENSES[0], "cos_sin")
    assert not caster.log_scale.requires_grad
    assert caster.log_scale.exp().item() == pytest.approx(0.8)
    caster.use(LENSES[2], "cos_sin")
    caster(encode_cameras(some_cameras()), (4, 4)).direction[..., 0].sum().backward()
    assert caster.log_scale.grad is not None
    assert caster.log_scale.grad != 0


@pytest.mark.parametrize(
    ("lens", "message"),
    [
        (Lens("fisheye", 1.0), "lens.kind=fisheye is not known"),
        (Lens("perspective", -1.0), "scale=-1.0"),
        (Lens("orthographic", 1.0, radius=0.0), "radius=0.0"),
    ],
)
def test_impossible_lenses_are_refused(lens, message):
    with pytest.raises(ValueError, match=message):
        RayCaster().use(lens, "cos_sin")


def test_the_field_of_view_of_a_perspective_lens():
    rays = cast(Lens("perspective", math.tan(math.radians(30))), torch.tensor([[3.0, 0, 0, math.pi, 0]]), (1, 2))
    cosine = (rays.direction[0, 0] * rays.direction[0, 1]).sum()
    # The middles of two cells lie at half the width of the image on either side.
    assert math.degrees(math.acos(cosine)) == pytest.approx(2 * math.degrees(math.atan(0.5 * math.tan(math.pi / 6))))

"""How fast stimuli are rendered: ``python tests/benchmarks/render_speed.py [--device cuda] [--threads 2]``.

Against every ray tested with every cube, in the same arithmetic, on 64x64 images with 2x2 rays a pixel. Both take
turns, so that whatever else the machine does meets both; a ratio is the median over rounds. Last, the rate at which
a store is filled, which renders in several processes and writes.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false
# the lens and the factors of rendered scenes are known

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.stimuli.cameras import camera_basis
from gqn_probe.data.stimuli.ray_caster import EDGE, face_light
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS, render_batch
from gqn_probe.data.store.store_builder import build_store
from gqn_probe.types import Factors, Scenes

SIZE, VIEWS, PARTS = 64, 16, 5
OURS = RenderedScenes(PARTS, SIZE, VIEWS, 1024, 0, 0, 0, "plain", "shape", DEFAULT_LENS)


def every_ray(factors: Factors, cameras: Tensor, chunk: int = 16) -> Tensor:
    """The plain slab test."""
    side = 2 * SIZE
    line = ((torch.arange(side, device=cameras.device) + 0.5) / side * 2 - 1) * DEFAULT_LENS.scale
    light = face_light().to(cameras.device)
    images = []
    positions = factors.positions.repeat_interleave(cameras.shape[1], 0)
    colors = factors.colors.repeat_interleave(cameras.shape[1], 0)
    views = zip(positions.split(chunk), colors.split(chunk), cameras.flatten(0, 1).split(chunk), strict=True)
    for cubes, palette, camera in views:
        right, up, forward = (axis[:, None, None, None] for axis in camera_basis(camera))
        origin = line[None, None, :, None] * right[:, 0] - line[None, :, None, None] * up[:, 0]
        middle = (cubes[:, :, None, None] - origin[:, None]) / forward
        reach = EDGE / 2 / forward.abs()
        enter, face = (middle - reach).max(-1)
        hit = enter < (middle + reach).amin(-1)
        nearest = enter.masked_fill(~hit, torch.inf).argmin(1, keepdim=True)
        face = face.gather(1, nearest)[:, 0]
        toward = (forward[:, 0, 0, 0] <= 0).long().gather(1, face.flatten(1)).view_as(face)
        shade = light[face, toward][..., None]
        index = nearest.flatten(1)[..., None].expand(-1, -1, 3)
        color = palette.gather(1, index).view(*face.shape, 3) * shade
        rays = torch.where(hit.any(1)[..., None], color * 255, 212.0)
        image = rays.unflatten(1, (SIZE, 2)).unflatten(3, (SIZE, 2)).mean((2, 4))
        images.append(image.permute(0, 3, 1, 2).round().to(torch.uint8))
    return torch.cat(images)


def seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device = arguments.device
    torch.set_num_threads(arguments.threads)
    scenes = 512 if device == "cuda" else 32

    def ours() -> Scenes:
        ids = torch.arange(scenes, device=device)
        return render_batch(ids, views=VIEWS, parts=PARTS, size=SIZE, seed=0)

    rendered = ours()
    factors, cameras = rendered.factors, rendered.cameras
    assert factors is not None
    difference = (every_ray(factors, cameras).int() - rendered.frames.flatten(0, 1).int()).abs()
    assert (difference > 1).float().mean() < 1e-4  # the plain form rounds once, ours each ray

    rounds = [
        (seconds(ours, device), seconds(lambda: every_ray(factors, cameras), device)) for _ in range(arguments.rounds)
    ]
    images = scenes * VIEWS
    rate = images / statistics.median(own for own, _ in rounds)
    ratio = statistics.median(plain / own for own, plain in rounds)
    print(f"| renderer on {device}, {arguments.threads} threads | {rate:,.0f} images/s | {ratio:.1f}x every ray |")
    if device == "cpu":
        with tempfile.TemporaryDirectory() as folder:
            taken = seconds(lambda: build_store(OURS, Path(folder), OURS.pieces(), workers=arguments.threads), device)
        print(f"| filling a store, {arguments.threads} processes | {1024 * VIEWS / taken:,.0f} images/s | |")


if __name__ == "__main__":
    main()

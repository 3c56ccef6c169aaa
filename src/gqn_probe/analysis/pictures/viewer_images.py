"""Images of the report's interactive viewer: views of some objects on a grid of cameras, predicted from k images.

All are rendered in advance, as sheets of one row an elevation and one column an azimuth: the truth, mean and standard
deviation of prior samples at each k, and predictions without one of the context images.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import view_orders
from gqn_probe.atomic_io import atomic_write, write_text
from gqn_probe.data.stimuli.camera_paths import azimuth_orbit, cameras_facing
from gqn_probe.progress import progress
from gqn_probe.training.novel_views import true_views
from gqn_probe.types import Render, Scenes, to_unit

QUALITIES = (100, 90, 80, 65, 50, 35, 20)  # of WebP, tried in turn until the size fits; 100 is lossless
ROUND = 0.2  # coefficient of variation of camera distances up to which cameras are around an object


@dataclass(frozen=True)
class ViewerSettings:
    """Objects, counts and cameras of the viewer; defaults are in ``conf/probe.yaml``."""

    objects: int
    counts: Sequence[int]
    azimuths: int  # of cameras on a ring, at equal angles
    elevations: Sequence[float]  # of the rings, in degrees
    samples: int  # prior samples a view
    megabytes: float  # limit on the size of all sheets

    def __post_init__(self) -> None:
        for name in ("objects", "azimuths", "samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"viewer.{name} must be at least 1, got {getattr(self, name)}; viewer=null makes none")
        if not self.counts or not self.elevations:
            raise ValueError("viewer.counts and viewer.elevations must name at least one each; viewer=null makes none")


@torch.no_grad()  # covers the generator below, too, which runs inside of this function
def write_viewer(
    study_inputs: StudyInputs,
    settings: ViewerSettings,
    folder: Path,
    *,
    seed: int,
    render: Render | None,
    chosen: Sequence[int] | None = None,
) -> Path | None:
    """Write ``viewer.json`` and its sheets to ``folder``; return None if cameras are not around an object.

    Args:
        chosen: indices of the scenes; default: the first ones.
        seed: of the order of views (the study's), and of the samples.
        render: renders the truth from a new camera; None shows the nearest given view in its place, and no error.
    """
    number = len(study_inputs.scenes)
    chosen = range(min(settings.objects, number)) if chosen is None else chosen
    scenes = study_inputs.scenes[torch.tensor(chosen)]
    distances = scenes.cameras[..., :3].norm(dim=-1)
    if distances.std() > ROUND * distances.mean():
        return None
    counts = sorted({min(count, study_inputs.usable_views) for count in settings.counts})
    elevations = settings.elevations if render is not None else _given_elevations(scenes, len(settings.elevations))
    rings = _rings(settings.azimuths, elevations, float(distances.mean()))
    order = view_orders(number, scenes.views, seed)[chosen]
    folder.mkdir(parents=True, exist_ok=True)
    sheets: dict[str, UInt8[np.ndarray, "height width rgb"]] = {}
    errors: list[list[list[float]]] = []
    truths = true_views(scenes, rings.flatten(0, 1), render)
    drawn = list(_predictions(study_inputs, scenes, order, rings, counts, settings.samples, seed))
    white = max(float(spread.max()) for made in drawn for _, spread, _ in made) or 1.0
    for i, made in enumerate(drawn):
        sheets[f"{i}-truth"] = _sheet(truths[i], settings.azimuths)
        sheets[f"{i}-context"] = _sheet(scenes.frames[i, order[i, : max(counts)]], max(counts))
        errors.append([])
        for count, (mean, spread, without) in zip(counts, made, strict=True):
            sheets[f"{i}-mean-{count}"] = _sheet(_bytes(mean), settings.azimuths)
            sheets[f"{i}-spread-{count}"] = _sheet(_bytes(spread / white), settings.azimuths)
            sheets[f"{i}-without-{count}"] = _sheet(_bytes(without), settings.azimuths)
            squared = (mean.clamp(0, 1) - to_unit(truths[i])).square().mean(dim=(1, 2, 3))
            errors[-1].append([round(255 * e**0.5, 1) for e in squared.tolist()])
    quality = _write_sheets(sheets, folder, settings.megabytes)
    note = {
        "objects": len(scenes),
        "chosen": list(chosen),
        "counts": counts,
        "azimuths": settings.azimuths,
        "elevations": [float(e) for e in elevations],
        "context": [_degrees(scenes.cameras[i, order[i, : max(counts)]]) for i in range(len(scenes))],
        "size": scenes.frames.shape[-1],
        "samples": settings.samples,
        "truth": "rendered" if render is not None else "nearest given view",
        "errors": errors if render is not None else None,  # RMSE of the mean of samples by object, count and camera
        "white": round(255 * white),  # grey levels by which samples differ where the pictures of it are white
        "quality": quality,
    }
    write_text(folder / "viewer.json", json.dumps(note))
    return folder / "viewer.json"


def _rings(azimuths: int, elevations: Sequence[float], distance: float) -> Float[Tensor, "elevation azimuth 5"]:
    """Return raw cameras on a ring at each elevation."""
    rings = [azimuth_orbit(azimuths, elevation=elevation) for elevation in elevations]
    return cameras_facing(torch.stack(rings), distance)


def _degrees(raw: Float[Tensor, "v 5"]) -> list[list[float]]:
    """Return azimuth and elevation of cameras around the origin, degrees."""
    x, y, z = torch.nn.functional.normalize(raw[:, :3], dim=-1).unbind(dim=1)
    angles = torch.stack([torch.atan2(y, x), z.clamp(-1, 1).asin()], dim=1).rad2deg()
    return [[round(value, 1) for value in row] for row in angles.tolist()]


def _given_elevations(scenes: Scenes, rings: int) -> list[float]:
    """Return elevations within the range of the given cameras, degrees."""
    position = scenes.cameras[..., :3]
    given = torch.asin((position[..., 2] / position.norm(dim=-1)).clamp(-1, 1)).flatten()
    shares = torch.linspace(0.1, 0.9, rings) if rings > 1 else torch.tensor([0.5])
    return torch.quantile(given.rad2deg(), shares).tolist()


def _predictions(
    study_inputs: StudyInputs,
    scenes: Scenes,
    order: Tensor,
    rings: Float[Tensor, "elevation azimuth 5"],
    counts: Sequence[int],
    samples: int,
    seed: int,
) -> Iterator[list[tuple[Tensor, Tensor, Tensor]]]:
    """Yield for each object and count: mean and deviation of samples from every camera, predictions by omission.

    The latter are without each of the k images in turn, from the cameras of the middle ring, ``(k a) c h w``.
    """
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    phi = gqn.encode(to_unit(scenes.frames).to(device), study_inputs.encode_cameras(scenes.cameras).to(device))
    cameras = study_inputs.encode_cameras(rings.flatten(0, 1)).to(device)
    ring = study_inputs.encode_cameras(rings[len(rings) // 2]).to(device)
    size = scenes.frames.shape[-2], scenes.frames.shape[-1]
    images = len(scenes) * sum(samples * len(cameras) + count * len(ring) for count in counts)
    devices = [] if device == "cpu" else [torch.device(device)]
    with torch.random.fork_rng(devices=devices), progress("viewer", images, "views") as advance:
        torch.manual_seed(seed)
        for views, ordered in zip(phi, order, strict=True):
            made = []
            for count in counts:
                some = views[ordered[:count]][None]
                r = gqn.aggregate(some)
                drawn = torch.stack([gqn.sample_from(r, cameras, size=size).float().cpu() for _ in range(samples)])
                mask = ~torch.eye(count, dtype=torch.bool, device=device)
                fewer = gqn.aggregate(some.expand(count, *some.shape[1:]), mask)
                without = gqn.sample_from(fewer, ring.repeat(count, 1), deterministic=True, size=size)
                spread = drawn.std(dim=0, unbiased=samples > 1) if samples > 1 else torch.zeros_like(drawn[0])
                made.append((drawn.mean(dim=0), spread.mean(dim=1, keepdim=True), without.float().cpu()))
                advance(samples * len(cameras) + count * len(ring))
            yield made


def _bytes(images: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)


def _sheet(images: UInt8[Tensor, "n c h w"], columns: int) -> UInt8[np.ndarray, "height width rgb"]:
    """Arrange images in rows of ``columns``."""
    three = images.expand(-1, 3, -1, -1)
    return rearrange(three, "(row column) c h w -> (row h) (column w) c", column=columns).numpy()


def _write_sheets(sheets: dict[str, UInt8[np.ndarray, "height width rgb"]], folder: Path, megabytes: float) -> int:
    """Write ``NAME.webp`` at the best quality at which the total size fits; return the quality.

    Raises:
        ValueError: the size fits at none.
    """
    encoded: dict[str, bytes] = {}
    for quality in QUALITIES:
        encoded = {name: _webp(sheet, quality) for name, sheet in sheets.items()}
        if _size(encoded.values()) <= 1e6 * megabytes:
            for path in folder.glob("*.webp"):
                if path.stem not in encoded:
                    path.unlink()
            for name, data in encoded.items():
                with atomic_write(folder / f"{name}.webp") as draft:
                    draft.write_bytes(data)
            return quality
    total = _size(encoded.values()) / 1e6
    raise ValueError(f"the viewer's pictures take {total:.1f} MB, more than viewer.megabytes={megabytes}: show fewer")


def _size(files: Iterable[bytes]) -> int:
    return sum(len(data) for data in files)


def _webp(sheet: UInt8[np.ndarray, "height width rgb"], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="webp", quality=quality, lossless=quality == 100, method=4)
    return buffer.getvalue()

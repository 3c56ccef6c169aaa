"""Codes of rotated views: every layer of the encoder, under each condition.

The conditions are controls: ``held`` gives the network the first camera for every view, ``blank`` shows it the
background alone with the true cameras, and ``untrained`` is a network of newly initialised weights.
"""

from dataclasses import dataclass, replace

import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.rotation.stimuli import RotationViews
from gqn_probe.types import to_unit

WHOLE = "whole"  # every number of the representation; layers are averaged over positions or points
CONDITIONS = ("none", "held", "blank", "untrained")
BATCH = 96  # views encoded at a time


@dataclass(frozen=True)
class EncodedViews:
    """Codes of the context views, of the object's turned views and of its mirror image's, by read-out."""

    context: dict[str, Float[Tensor, "s v f"]]
    same: dict[str, Float[Tensor, "s angle f"]]
    mirror: dict[str, Float[Tensor, "s angle f"]]
    maps: Float[Tensor, "s v d y x"] | None = None  # the context as the generator takes it


def encode_condition(study_inputs: StudyInputs, views: RotationViews, condition: str) -> EncodedViews:
    """Encode all views under one condition; with blank images the mirror image's codes are the object's."""
    context, same, mirror = views.context_frames, views.same_frames, views.mirror_frames
    context_cameras, probe_cameras = given_cameras(views, condition)
    if condition == "blank":
        blank = median_background(context)
        context, same, mirror = (blank.expand_as(each) for each in (context, same, mirror))
    codes, maps = _encode(study_inputs, context, context_cameras)
    own, _ = _encode(study_inputs, same, probe_cameras)
    other = own if condition == "blank" else _encode(study_inputs, mirror, probe_cameras)[0]
    return EncodedViews(codes, own, other, maps)


def pixel_codes(views: RotationViews) -> EncodedViews:
    """Return the images themselves, flattened, in place of codes."""
    parts = (views.context_frames, views.same_frames, views.mirror_frames)
    context, same, mirror = ({WHOLE: to_unit(each).flatten(start_dim=2)} for each in parts)
    return EncodedViews(context, same, mirror)


def with_another_context(encoded: EncodedViews) -> EncodedViews:
    """Return the same views with the context of another object."""
    return replace(encoded, context={name: codes.roll(1, dims=0) for name, codes in encoded.context.items()})


def given_cameras(views: RotationViews, condition: str) -> tuple[Float[Tensor, "s v 5"], Float[Tensor, "s angle 5"]]:
    """Return the raw cameras given to the network: the true ones, or under ``held`` the first context camera."""
    if condition != "held":
        return views.context_cameras, views.probe_cameras
    first = views.context_cameras[:, :1]
    return first.expand_as(views.context_cameras), first.expand_as(views.probe_cameras)


def median_background(frames: UInt8[Tensor, "s v c h w"]) -> UInt8[Tensor, "c h w"]:
    """Return the background as the median over views, since most views show it at most pixels."""
    return frames.flatten(0, 1)[:256].median(dim=0).values


def _encode(
    study_inputs: StudyInputs, frames: UInt8[Tensor, "s v c h w"], cameras: Float[Tensor, "s v 5"]
) -> tuple[dict[str, Float[Tensor, "s v f"]], Float[Tensor, "s v d y x"]]:
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    codes: dict[str, list[Tensor]] = {}
    maps = []
    encoded = study_inputs.encode_cameras(cameras)
    for rows in torch.arange(frames[:, :, 0, 0, 0].numel()).split(BATCH):
        some = to_unit(frames.flatten(0, 1)[rows].to(device))
        layers = gqn.encoder.layers(some, encoded.flatten(0, 1)[rows].to(device))
        maps.append(list(layers.values())[-1].float().cpu())
        for name, layer in layers.items():
            codes.setdefault(f"layer.{name}", []).append(reduce(layer.float().cpu(), "n d y x -> n d", "mean"))
    views = frames.shape[1]
    whole = rearrange(torch.cat(maps), "(s v) d y x -> s v d y x", v=views)
    found = {name: rearrange(torch.cat(parts), "(s v) d -> s v d", v=views) for name, parts in codes.items()}
    return found | {WHOLE: whole.flatten(start_dim=2)}, whole

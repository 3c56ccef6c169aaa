"""Trials of mental rotation: dissimilarity of a turned view, and of its mirror image's, to what the context predicts.

Every read-out gives a trial two dissimilarities, of the object's own view and of its mirror image's from the same
camera. The trial is right where the former is smaller, and half right where they are equal. ``rotation.csv`` has all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.pictures.uncertainty import likelihood_scores
from gqn_probe.analysis.probes.ridge import KernelRidge, linear_kernel
from gqn_probe.analysis.questions.splits import folds_of, split_groups
from gqn_probe.analysis.questions.targets import Values
from gqn_probe.analysis.rotation.encoding import EncodedViews, given_cameras
from gqn_probe.analysis.rotation.stimuli import RotationViews
from gqn_probe.types import to_unit

BATCH = 8  # objects predicted at a time


class Case(NamedTuple):
    """Axis, input, probe and control of trials."""

    axis: str  # "depth" or "plane"
    input: str  # "prediction", or a read-out of the encoder
    control: str  # "none", or what was changed
    probe: str  # "error", "likelihood", "distance" or "linear"
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]


class Scores(NamedTuple):
    """Dissimilarity of two views to what the context predicts of the object."""

    same: Float[Tensor, "s angle"]  # the view of the object itself
    mirror: Float[Tensor, "s angle"]  # that of its mirror image

    @property
    def right(self) -> Float[Tensor, "s angle"]:
        """Return 1 where the object's own view is the more similar, 0 where its mirror image's is, 0.5 for a tie."""
        return (self.same < self.mirror).double() + 0.5 * (self.same == self.mirror).double()


Trials = dict[Case, Scores]


def pixel_trials(views: RotationViews, counts: Sequence[int]) -> Trials:
    """Score views by their RMSE (0 to 255) to the context view of the nearest camera: pictures without any turning."""
    found = {}
    for count in counts:
        near = views.nearest_view(count)
        shown = views.context_frames[torch.arange(len(near))[:, None], near]
        case = Case(views.axis, "prediction", "pixels", "error", count)
        found[case] = _errors(to_unit(shown), views)
    return found


def prediction_trials(
    study_inputs: StudyInputs, views: RotationViews, encoded: EncodedViews, control: str, counts: Sequence[int]
) -> Trials:
    """Score views by their RMSE (0 to 255) to the predicted view, every latent at its prior's mean."""
    asked = study_inputs.encode_cameras(given_cameras(views, control)[1])
    if control == "held":
        asked = asked[:, :1]  # all are one
    size = views.same_frames.shape[-2], views.same_frames.shape[-1]
    found = {}
    for count in counts:
        drawn = []
        for rows, r in _contexts(study_inputs, encoded, control, count):
            cameras = asked[rows].flatten(0, 1).to(study_inputs.device)
            image = study_inputs.gqn.sample_from(r, cameras, deterministic=True, size=size).float().cpu()
            drawn.append(image.unflatten(0, (len(rows), -1)))
        predicted = torch.cat(drawn).expand(-1, len(views.angles), -1, -1, -1)
        found[Case(views.axis, "prediction", control, "error", count)] = _errors(predicted, views)
    return found


def likelihood_trials(
    study_inputs: StudyInputs,
    views: RotationViews,
    encoded: EncodedViews,
    control: str,
    count: int,
    *,
    samples: int,
    seed: int,
) -> Trials:
    """Score views by the nats by which they are less likely than under a perfect prediction, by importance sampling.

    Unlike the error, it weighs what the network is sure of more than what it is in doubt about.
    """
    device = study_inputs.device
    asked = study_inputs.encode_cameras(given_cameras(views, control)[1])
    found: dict[str, list[Tensor]] = {"same": [], "mirror": []}
    with torch.random.fork_rng(devices=[] if device == "cpu" else [torch.device(device)]):
        torch.manual_seed(seed)
        for rows, r in _contexts(study_inputs, encoded, control, count):
            cameras = asked[rows].flatten(0, 1).to(device)
            for name, frames in (("same", views.same_frames), ("mirror", views.mirror_frames)):
                truth = to_unit(frames[rows].flatten(0, 1)).to(device)
                nats = likelihood_scores(study_inputs.gqn, r, cameras, truth, samples=samples)["nats_above_floor"]
                found[name].append(nats.double().cpu().unflatten(0, (len(rows), -1)))
    scores = Scores(torch.cat(found["same"]), torch.cat(found["mirror"]))
    return {Case(views.axis, "prediction", control, "likelihood", count): scores}


def _contexts(
    study_inputs: StudyInputs, encoded: EncodedViews, control: str, count: int
) -> Iterator[tuple[Int[Tensor, " b"], Float[Tensor, "b d y x"]]]:
    """Yield some objects at a time and r of their contexts; under the control ``shuffled``, of another object's."""
    assert encoded.maps is not None
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    maps = encoded.maps.roll(1, dims=0) if control == "shuffled" else encoded.maps
    for rows in torch.arange(len(maps)).split(BATCH):
        yield rows, gqn.aggregate(maps[rows, :count].to(device))


def gaussian_nats(errors: Scores, sigma: float, numbers: int) -> Scores:
    """Convert RMSEs (0 to 255) of a deterministic picture to nats of a Gaussian of deviation ``sigma``."""
    return Scores(*(numbers * (each / 255).square() / (2 * sigma**2) for each in errors))


def distance_trials(axis: str, encoded: EncodedViews, control: str, counts: Mapping[str, Sequence[int]]) -> Trials:
    """Score views by 1 less the correlation of their code with the summed codes of the context."""
    found = {}
    for name, own in counts.items():
        for count in own:
            known = encoded.context[name][:, :count].sum(dim=1, keepdim=True)
            distances = (1 - correlation(known, codes[name]) for codes in (encoded.same, encoded.mirror))
            found[Case(axis, name, control, "distance", count)] = Scores(*distances)
    return found


def correlation(first: Float[Tensor, "*#n f"], second: Float[Tensor, "*#n f"]) -> Float[Tensor, "..."]:
    """Return Pearson's correlation over the numbers of a code; 0 where one of the two does not vary."""
    a, b = (each.double() - each.double().mean(dim=-1, keepdim=True) for each in (first, second))
    lengths = a.norm(dim=-1) * b.norm(dim=-1)
    return torch.where(lengths > 0, (a * b).sum(dim=-1) / lengths.clamp(min=1e-300), torch.zeros_like(lengths))


def linear_trials(
    axis: str,
    name: str,
    control: str,
    encoded: EncodedViews,
    count: int,
    groups: Int[Tensor, " s"],
    strengths: Sequence[float],
) -> Trials:
    """Score views by a linear probe's evidence for "mirror image", trained on other pairs of shapes.

    The probe sees the absolute difference of each number between the mean code of the context and that of the view, at
    all angles. It is a ridge regression; a fifth of the mirror classes is held out in turn.
    """
    known = encoded.context[name][:, :count].mean(dim=1, keepdim=True)
    kinds = torch.stack([(codes[name] - known).abs() for codes in (encoded.same, encoded.mirror)])
    objects, angles = kinds.shape[1:3]
    rows = rearrange(kinds, "two s a f -> (s two a) f")
    kernel = linear_kernel(rows)
    labels = repeat(torch.tensor([-1.0, 1.0]), "two -> (s two a) 1", s=objects, a=angles)
    owners = repeat(torch.arange(objects), "s -> (s two a)", two=2, a=angles)
    evidence = torch.zeros(len(labels))
    for fold in range(folds_of(groups)):
        split = split_groups(groups, fold)
        train = torch.isin(owners, torch.cat([split.train, split.validation])).nonzero()[:, 0]
        test = torch.isin(owners, split.test)
        (fit,) = KernelRidge(kernel, train, strengths).predict([Values(labels)])
        evidence[test] = fit.values[test, 0].float()
    same, mirror = rearrange(evidence, "(s two a) -> two s a", two=2, a=angles).double()
    return {Case(axis, name, control, "linear", count): Scores(same, mirror)}


def trial_rows(trials: Trials, views: RotationViews, mirror_class: Int[Tensor, " s"]) -> Iterator[tuple]:
    """Yield the rows of ``rotation.csv``, see ``COLUMNS``."""
    for case, scores in trials.items():
        near = views.nearest(case.count)
        for thing, column in torch.cartesian_prod(torch.arange(len(near)), torch.arange(len(views.angles))).tolist():
            place = thing, column
            angle, nearest = views.angles[column], round(float(near[place]), 2)
            values = (float(f"{float(each[place]):.6g}") for each in scores)
            yield (*case, int(mirror_class[thing]), angle, nearest, *values)


COLUMNS = (*Case._fields, "mirror_class", "angle", "nearest", "same", "mirror")


def _errors(predicted: Float[Tensor, "s angle c h w"], views: RotationViews) -> Scores:
    frames = views.same_frames, views.mirror_frames
    squares = ((predicted.clamp(0, 1) - to_unit(each)).square().mean(dim=(2, 3, 4)) for each in frames)
    return Scores(*(255 * each.double().sqrt() for each in squares))

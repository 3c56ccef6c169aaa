"""The analysis ``mental_rotation``: views turned ever farther from the context, as the network predicts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.rotation.stimuli import POLE, rotation_views
from gqn_probe.analysis.statistics.intervals import mean_interval, unit_sums
from gqn_probe.results import Findings, Interval, Result
from gqn_probe.types import Factors, to_unit

BATCH = 8  # objects predicted at a time


@dataclass(frozen=True)
class MentalRotation:
    """Settings of the analysis; defaults are in ``conf/analysis/mental_rotation.yaml``."""

    name: ClassVar[str] = "mental_rotation"
    objects: int
    pairs: int
    angles: Sequence[float]
    elevation: float
    counts: Sequence[int]
    cone: float
    seed: int

    @torch.inference_mode()
    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Errors of the predicted views by angle and number of context views.

        Raises:
            ValueError: the objects are not known, or too few are chiral.
        """
        factors, render = study_inputs.scenes.factors, study_inputs.render
        if factors is None or render is None:
            raise ValueError("mental rotation needs objects that we render: use data=shepard_metzler")
        chosen = one_of_each_pair(factors, self.pairs)
        gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
        results = []
        for axis, elevation in {"depth": self.elevation, "plane": POLE}.items():
            views = rotation_views(
                chosen,
                render,
                axis=axis,
                elevation=elevation,
                angles=tuple(self.angles),
                context=max(self.counts),
                cone=self.cone,
                seed=self.seed,
            )
            errors: dict[int, list[torch.Tensor]] = {count: [] for count in self.counts}
            for rows in torch.arange(len(chosen.parts)).split(BATCH):
                cameras = study_inputs.encode_cameras(views.context_cameras[rows]).to(device)
                phi = gqn.encode(views.context_frames[rows].to(device), cameras)
                asked = study_inputs.encode_cameras(views.probe_cameras[rows]).flatten(0, 1).to(device)
                truth = to_unit(views.same_frames[rows].flatten(0, 1)).to(device)
                for count in self.counts:
                    r = gqn.aggregate(phi[:, :count])
                    predicted = gqn.sample_from(r, asked, deterministic=True, size=truth.shape[-2:])
                    error = (predicted.clamp(0, 1) - truth).square().mean(dim=(1, 2, 3)).sqrt().mul(255)
                    errors[count].append(error.cpu().unflatten(0, (len(rows), -1)))
            for count, parts in errors.items():
                for column, angle in enumerate(self.angles):
                    values = torch.cat(parts)[:, column]
                    found = mean_interval(unit_sums(values, torch.arange(len(values)), len(values)))
                    case = ("rotation", axis, f"{angle:g} degrees", "prediction")
                    results.append(Result.pooled(case, "rmse", Interval(*found), n=len(values), count=count))
        return Findings(
            "How far from its context can the network turn an object?", results, [], "Views were turned by an angle."
        )


def one_of_each_pair(factors: Factors, pairs: int) -> Factors:
    """The first object of each chiral pair of shapes.

    Raises:
        ValueError: there are fewer than two.
    """
    first: dict[int, int] = {}
    for row in (factors.chirality != 0).nonzero()[:, 0].tolist():
        first.setdefault(int(factors.mirror_class[row]), row)
    rows = torch.tensor(sorted(first.values())[:pairs], dtype=torch.long)
    if len(rows) < 2:
        raise ValueError(f"of {len(factors.parts)} objects {len(rows)} are chiral: use data.parts=[7,8]")
    return Factors(*(column[rows] for column in vars(factors).values()))

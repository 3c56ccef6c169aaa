"""Analysis ``mental_rotation``: is a turned object predicted, and told apart from its mirror image?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.pictures.uncertainty import SIGMA
from gqn_probe.analysis.rotation.answers import rotation_answers
from gqn_probe.analysis.rotation.arms import arm_factors, four_arm_objects, read_arms
from gqn_probe.analysis.rotation.encoding import CONDITIONS, WHOLE, encode_condition, pixel_codes, with_another_context
from gqn_probe.analysis.rotation.people import Item, behaviour_rows, item_rows, read_trials
from gqn_probe.analysis.rotation.stimuli import POLE, RotationViews, rotation_views
from gqn_probe.analysis.rotation.trial_scores import score_rows
from gqn_probe.analysis.rotation.trials import (
    COLUMNS,
    Case,
    Trials,
    distance_trials,
    gaussian_nats,
    likelihood_trials,
    linear_trials,
    pixel_trials,
    prediction_trials,
    trial_rows,
)
from gqn_probe.atomic_io import write_arrays, write_csv
from gqn_probe.choices import check_choice
from gqn_probe.progress import progress
from gqn_probe.results import Findings, Result
from gqn_probe.types import Factors

MINIMUM = {"objects": 1, "pairs": 3, "seed": 0}  # fewer pairs cannot be held out in turn
QUESTION = "Can a turned object be predicted, and told apart from its mirror image?"


@dataclass(frozen=True)
class MentalRotation:
    """Settings of the analysis; defaults are in ``conf/analysis/mental_rotation.yaml``."""

    name: ClassVar[str] = "mental_rotation"
    stimuli: str
    objects: int
    pairs: int
    axes: Sequence[str]
    angles: Sequence[float]
    elevation: float
    counts: Sequence[int]
    cone: float
    strengths: Sequence[float]
    likelihood: int
    arms: str | None
    one_color: bool
    trials: str | None
    seed: int

    def __post_init__(self) -> None:
        for name, least in MINIMUM.items():
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"analysis.{name}={getattr(self, name)} must be a whole number, at least {least}")
        if not isinstance(self.likelihood, int) or self.likelihood < 0:
            raise ValueError(f"analysis.likelihood={self.likelihood} must be a number of samples; 0 for no likelihood")
        check_choice("analysis.stimuli", self.stimuli, ("scenes", "arms"))
        if not self.axes or {*self.axes} - {"depth", "plane"}:
            raise ValueError(f"analysis.axes={self.axes} is not known: use [depth,plane] or one of them")
        if not self.counts or any(not isinstance(count, int) or count < 1 for count in self.counts):
            raise ValueError(f"analysis.counts={self.counts} must be numbers of context views, such as [1,3,7]")
        if len(self.angles) < 2 or any(not 0 <= angle <= 180 for angle in self.angles):
            raise ValueError(f"analysis.angles={self.angles} must be two or more degrees in 0..180")
        if not -90 < self.elevation < 90 or not 0 <= self.cone <= 90:
            raise ValueError(
                f"analysis.elevation={self.elevation} must be between -90 and 90 degrees, analysis.cone={self.cone} "
                "in 0..90"
            )
        if self.trials is not None and (self.stimuli, *self.axes[:1]) != ("arms", "depth"):
            raise ValueError("analysis.trials needs classic objects turned in depth: use experiment=classic_rotation")

    @torch.inference_mode()
    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Score every trial; write all to ``rotation.csv`` and some of the views to ``rotation.npz``.

        Raises:
            ValueError: the scenes are not rendered by us, or too few objects are chiral.
        """
        names, factors = self._objects(study_inputs)
        people = read_trials(self.trials, names) if self.trials else []
        units = factors.mirror_class.unique(return_inverse=True)[1]
        results: list[Result] = []
        rows: list[tuple] = []
        everything: Trials = {}
        notes: list[str] = []
        with progress("mental rotation", len(self.axes) * (len(CONDITIONS) + 1), "conditions") as advance:
            for axis in self.axes:
                views = self._views(study_inputs, factors, axis)
                trials: Trials = pixel_trials(views, self.counts)
                if self.likelihood:
                    sigma, numbers = study_inputs.gqn.input_spec.sigma or SIGMA, views.same_frames[0, 0].numel()
                    for case, scores in [*trials.items()]:
                        if case.count == max(self.counts):
                            trials[case._replace(probe="likelihood")] = gaussian_nats(scores, sigma, numbers)
                advance(1)
                for condition in CONDITIONS:
                    network = study_inputs.untrained(self.seed) if condition == "untrained" else study_inputs
                    trials |= self._condition(network, views, condition, units)
                    advance(1)
                nearest = {count: views.nearest(count) for count in self.counts}
                results += score_rows(trials, views.angles, units, nearest)
                rows += trial_rows(trials, views, factors.mirror_class)
                everything |= trials
                if axis == self.axes[0]:
                    self._write_pictures(views, folder)
                if touches_border(views):
                    notes.append("Some objects reach the border of the image and are cut off there.")
        write_csv(folder / "rotation.csv", COLUMNS, rows)
        if people:
            results += behaviour_rows(people)
            for case, hard in self._difficulty(everything, names).items():
                results += item_rows(people, hard, ("people", case.input, case.control, case.probe), self.seed)
        facts = {"axes": list(self.axes), "counts": list(self.counts), "angles": list(self.angles), "pairs": len(names)}
        facts |= {"people": len({trial.subject for trial in people})}
        answers = rotation_answers(results, self.axes, max(self.counts), self.cone)
        return Findings(QUESTION, results, answers, self._convention(len(names)), list(dict.fromkeys(notes)), facts)

    def _objects(self, study_inputs: StudyInputs) -> tuple[list[str], Factors]:
        if study_inputs.render is None:
            raise ValueError(
                "mental rotation shows objects from new cameras, and of these only images are known: use "
                "data=shepard_metzler, or data=prepared with a store of such objects"
            )
        if self.stimuli == "arms":
            arms = read_arms(self.arms) if self.arms else four_arm_objects()
            if len(arms) < MINIMUM["pairs"]:
                raise ValueError(f"analysis.arms={self.arms} has {len(arms)} objects: give at least {MINIMUM['pairs']}")
            arms = dict(list(arms.items())[: self.pairs])
            return list(arms), arm_factors(arms, one_color=self.one_color, seed=self.seed)
        assert study_inputs.scenes.factors is not None, "they are of rendered scenes"
        factors = one_of_each_pair(study_inputs.scenes.factors, self.pairs)
        return [str(each) for each in factors.mirror_class.tolist()], factors

    def _views(self, study_inputs: StudyInputs, factors: Factors, axis: str) -> RotationViews:
        assert study_inputs.render is not None
        return rotation_views(
            factors,
            study_inputs.render,
            axis=axis,
            elevation=POLE if axis == "plane" else self.elevation,
            angles=tuple(float(angle) for angle in self.angles),
            context=max(self.counts),
            cone=self.cone,
            seed=self.seed,
        )

    def _condition(
        self, study_inputs: StudyInputs, views: RotationViews, condition: str, units: torch.Tensor
    ) -> Trials:
        """Return all trials of a condition; everything but r's distance and prediction at the largest count alone."""
        most, every = [max(self.counts)], self.counts
        encoded = encode_condition(study_inputs, views, condition)
        counts = {name: every if name == WHOLE else most for name in encoded.context}
        trials = distance_trials(views.axis, encoded, condition, counts)
        asked = every if condition in ("none", "held") else most
        trials |= prediction_trials(study_inputs, views, encoded, condition, asked)
        if condition == "none":
            trials |= prediction_trials(study_inputs, views, encoded, "shuffled", most)
        for control in (condition, "shuffled") if condition == "none" else (condition,):
            if self.likelihood:
                draws = {"samples": self.likelihood, "seed": self.seed}
                trials |= likelihood_trials(study_inputs, views, encoded, control, most[0], **draws)
        for name in encoded.context if condition == "none" else (WHOLE,):
            trials |= linear_trials(views.axis, name, condition, encoded, most[0], units, self.strengths)
        if condition == "none":
            for control, other in (("shuffled", with_another_context(encoded)), ("pixels", pixel_codes(views))):
                trials |= distance_trials(views.axis, other, control, dict.fromkeys(other.context, most))
                trials |= linear_trials(views.axis, WHOLE, control, other, most[0], units, self.strengths)
        return trials

    def _difficulty(self, trials: Trials, names: Sequence[str]) -> dict[Case, dict[Item, float]]:
        """Return each item's difficulty at the largest count: how much closer the wrong answer is than the right."""
        found: dict[Case, dict[Item, float]] = {}
        for case, scores in trials.items():
            if (case.axis, case.count) == ("depth", max(self.counts)) and case.input in ("prediction", WHOLE):
                margin = scores.same - scores.mirror
                found[case] = {
                    (name, float(angle), same): float(margin[row, column])
                    for row, name in enumerate(names)
                    for column, angle in enumerate(self.angles)
                    for same in (True, False)
                }
        return found

    def _write_pictures(self, views: RotationViews, folder: Path) -> None:
        """Write the views of the first objects, for the page."""
        some = {"context": views.context_frames, "same": views.same_frames, "mirror": views.mirror_frames}
        arrays = {name: frames[:3].permute(0, 1, 3, 4, 2).numpy() for name, frames in some.items()}
        write_arrays(folder / "rotation.npz", arrays)

    def _convention(self, pairs: int) -> str:
        return (
            f"{pairs} objects, one of each chiral pair of shapes, and their mirror images with the same colours were "
            f"turned by {self.angles[0]:g} to {self.angles[-1]:g} degrees: in depth about the vertical axis, seen from "
            f"{self.elevation:g} degrees above, and in the picture plane, seen from the pole. The context is the view "
            f"at 0 degrees and others at most {self.cone:g} degrees from it in azimuth and in elevation. A trial "
            "compares two views from one camera, of the object and of its mirror image, with the context; it is right "
            "where the object's is the less dissimilar. Dissimilarities: RMSE to the view that the generator predicts, "
            "every latent at its prior's mean; nats by which a view is less likely than under a perfect prediction, "
            f"from {self.likelihood} samples; 1 less the correlation of codes; and a ridge regression on the "
            "difference of codes, trained on other shapes. Intervals are over mirror classes: an object and its mirror "
            "image are one."
        )


def one_of_each_pair(factors: Factors, pairs: int) -> Factors:
    """Return the first object of each chiral pair of shapes.

    Raises:
        ValueError: there are too few to hold some out.
    """
    first: dict[int, int] = {}
    for row in (factors.chirality != 0).nonzero()[:, 0].tolist():
        first.setdefault(int(factors.mirror_class[row]), row)
    rows = torch.tensor(sorted(first.values())[:pairs], dtype=torch.long)
    if len(rows) < MINIMUM["pairs"]:
        raise ValueError(
            f"{len(factors.parts)} objects have {len(rows)} chiral pairs of shapes, at least {MINIMUM['pairs']} are "
            "needed: use data.parts=[7,8]"
        )
    return Factors(*(column[rows] for column in vars(factors).values()))


def touches_border(views: RotationViews) -> bool:
    """Return True if an object reaches the left or right border, whose columns otherwise show the background alone."""
    frames = torch.cat([views.same_frames, views.mirror_frames], dim=1).flatten(0, 1)
    sides = frames[..., 0], frames[..., -1]
    return any(bool((side != side.median(dim=0).values).any()) for side in sides)

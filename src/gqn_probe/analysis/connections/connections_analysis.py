"""Analysis ``connections``: what drives the generator's gates, what ablation of r costs, and which views matter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.connections.ablation import (
    TOP,
    UNITS,
    Ablation,
    ablate,
    ablations,
    decode_counts,
    decode_target,
    split_by_unit,
    unit_usage,
    unit_variance,
)
from gqn_probe.analysis.connections.gate_terms import SHARE, gate_rows
from gqn_probe.analysis.connections.occlusion import BATCH, CHANGE, RANKED, occlude, occlusion_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested, nested_task, sum_views
from gqn_probe.analysis.probes.ridge import linear_kernel
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Values
from gqn_probe.analysis.statistics.intervals import ClusterSums, linear_combination
from gqn_probe.atomic_io import write_arrays
from gqn_probe.choices import check_choice, check_names
from gqn_probe.context_range import parse_counts
from gqn_probe.data.store.store_reader import SceneSource, StoredScenes
from gqn_probe.progress import progress
from gqn_probe.results import Answer, Findings, Result, percent
from gqn_probe.types import to_unit

ABLATED = 1000  # scenes at most: products of all with each other, at every count, are in memory
SHOWN = 4  # scenes whose views are shown with what each adds
RMSE = "rmse_change"
QUESTION = "How does the generator use r?"
CONVENTION = (
    "Gates: the pre-activation of an LSTM gate is a sum of terms, of r, camera, latent, states and canvas. A term's "
    "share is its covariance with the sum over the variance of the sum, over scenes at each channel and position, with "
    "latents drawn from the prior (generation) or the posterior (inference). Ablation: units of r are set to their "
    "mean, and ridge probes are trained anew on four fifths of the objects; the count is decoded from all counts, "
    "everything else at the largest. Occlusion: the query is predicted from the sum of the context views without one. "
    "Intervals are over scenes."
)


@dataclass(frozen=True)
class Connections:
    """Settings of the analysis; their defaults are in ``conf/analysis/connections.yaml``."""

    name: ClassVar[str] = "connections"
    objects: int  # scenes that probes are trained and tested on
    context: int | str | Sequence[int | str]  # counts; the largest is ablated, a middle one occluded
    predicted: int  # scenes whose query is predicted
    targets: Sequence[str]  # what r knows, see targets.py; channels are ranked by the first, too
    unit: str  # of r that is taken away: "channel" or "position" (a point)
    shares: Sequence[float]  # of the units that are taken away
    strengths: Sequence[float]  # of ridge
    seed: int

    def __post_init__(self) -> None:
        for name, least in {"objects": 10, "predicted": 3}.items():
            if getattr(self, name) < least:
                raise ValueError(f"analysis.{name}={getattr(self, name)} is too small: the least is {least}")
        check_choice("analysis.unit", self.unit, UNITS)
        if bad := [share for share in self.shares if not 0 < share <= 1]:
            raise ValueError(f"analysis.shares has {bad[0]}: shares are above 0 and at most 1")
        check_names("target", self.targets, TARGETS)

    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Return gates' shares, ablations and occlusions; write pictures of some contexts to ``occlusion.npz``."""
        counts = sorted(parse_counts(self.context))
        for count in counts:
            study_inputs.check(count)
        scenes = study_inputs.scenes
        predicted = min(self.predicted, len(scenes))
        notes: list[str] = []
        tasks = {count: nested_task(len(scenes), scenes.views, count, self.seed) for count in counts}
        rows: list[Result] = []
        for count, task in tasks.items():
            rows += gate_rows(study_inputs, task, count=count, scenes=predicted, seed=self.seed)
        rows += self._ablate(study_inputs, counts, tasks[counts[-1]].query, notes)
        for count, task in tasks.items():
            if count > 1:
                found = occlude(study_inputs, task, predicted, shown=SHOWN)
                rows += occlusion_rows(found, count)
                if count == _middle_count(counts):
                    shown = {"change": found.change, "angle": found.angle, **found.pictures._asdict()}
                    arrays = {name: value[:SHOWN].numpy() for name, value in shown.items()}
                    write_arrays(folder / "occlusion.npz", arrays)
        facts = {"objects": len(scenes), "counts": counts, "occluded": _middle_count(counts), "unit": self.unit}
        return Findings(QUESTION, rows, [*self._answers(rows, counts)], CONVENTION, notes, facts)

    def _ablate(
        self, study_inputs: StudyInputs, counts: Sequence[int], query: Int[Tensor, " s"], notes: list[str]
    ) -> Iterator[Result]:
        scenes, gqn = study_inputs.scenes, study_inputs.gqn
        maps = study_inputs.features(("representation",))["representation"]
        if len(scenes) > ABLATED:
            notes.append(f"Ablation is of the first {ABLATED} scenes: its probes compare all pairs of them.")
            scenes = scenes.select(slice(ABLATED)) if isinstance(scenes, StoredScenes) else scenes[:ABLATED]
        sums = [
            sum_views(maps, nested(len(scenes), scenes.views, count, self.seed), aggregation=gqn.aggregation)
            for count in counts
        ]
        shape = sums[0].shape[1:]
        rows = rearrange(torch.stack([split_by_unit(r, self.unit) for r in sums], dim=1), "s k u f -> (s k) u f")
        largest = torch.arange(len(counts)).repeat(len(scenes)) == len(counts) - 1
        found = self._target_values(scenes, counts[-1], notes)
        labels = torch.tensor(counts).float().repeat(len(scenes))[:, None]
        rankings = {"count": unit_usage(rows, labels)} if len(counts) > 1 else {}
        rankings |= {name: unit_usage(rows[largest], each.columns) for name, each in [*found.items()][:1]}
        if not rankings:
            notes.append("Nothing was ablated: give two counts, or targets that the scenes have.")
            return
        for name, chance in _chance_levels(counts, found):
            yield Result(name, self.unit, "none", "share 0", None, "test", None, "chance", chance)
        everything = [Ablation("", "none", 0.0, torch.arange(0))]
        everything += ablations(rankings, unit_variance(rows), self.shares, self.seed)
        before: ClusterSums | None = None
        with progress("ablating", len(everything), "ablations") as advance:
            for each in everything:
                case = (self.unit, f"{each.ranking} {each.kind}".strip(), f"share {each.share:g}")
                n = len(each.units)
                if len(counts) > 1:
                    kernel = linear_kernel(ablate(rows, each.units).flatten(start_dim=1))
                    value = decode_counts(kernel, len(scenes), counts, self.strengths, self.seed)
                    yield Result.pooled(("count", *case), "accuracy", value, n=n)
                left = ablate(rows[largest], each.units)
                kernel = linear_kernel(left.flatten(start_dim=1))
                for name, truth in found.items():
                    metric, value = decode_target(kernel, truth, self.strengths, self.seed)
                    yield Result.pooled((name, *case), metric, value, n=n)
                errors = self._errors(study_inputs, _as_maps(left, self.unit, shape), query)
                before = before or errors
                change = linear_combination((errors, before), (1, -1))
                yield Result.pooled(("prediction", *case), RMSE, change, n=n, count=counts[-1])
                advance(1)

    def _target_values(self, scenes: SceneSource, count: int, notes: list[str]) -> dict[str, Classes | Values]:
        found: dict[str, Classes | Values] = {}
        views = nested(len(scenes), scenes.views, count, self.seed)
        for name in self.targets:
            try:
                found[name] = TARGETS[name](scenes, views)
            except ValueError as error:
                notes.append(f"The target {name} was left out: {error}.")
        return found

    @torch.no_grad()
    def _errors(self, study_inputs: StudyInputs, r: Float[Tensor, "s d y x"], query: Tensor) -> ClusterSums:
        """Return each query's RMSE (0 to 255), predicted from r with every latent at its prior's mean."""
        gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
        number, errors = min(self.predicted, len(r)), []
        for part in torch.arange(number).split(BATCH):
            some, asked = study_inputs.scenes[part], (torch.arange(len(part)), query[part])
            truth, cameras = to_unit(some.frames[asked]), study_inputs.encode_cameras(some.cameras[asked])
            size = truth.shape[-2], truth.shape[-1]
            image = gqn.sample_from(r[part].to(device), cameras.to(device), deterministic=True, size=size)
            gap = image.clamp(0, 1).float().cpu() - truth
            errors.append(255 * gap.square().mean(dim=(1, 2, 3)).sqrt())
        return ClusterSums(torch.cat(errors).double(), torch.ones(number, dtype=torch.float64))

    def _answers(self, rows: Sequence[Result], counts: Sequence[int]) -> Iterator[Answer]:
        shares = [r for r in rows if r.metric == SHARE and r.count == counts[-1] and r.probe == "generation"]
        last = max((r.control for r in shares), key=lambda name: int(name.split()[-1]), default="")
        shares = [r for r in shares if (r.control, r.target) == (last, "candidate")]
        if shares:
            best = sorted(shares, key=lambda r: -r.value)
            parts = ", ".join(f"{r.input} {_percent(r, 0)}" for r in best)
            text = f"At {last}, from {counts[-1]} images, the update of the generator's state varies with {parts}."
            licence = "share of variance of the candidate gate"
            yield Answer("What drives the generator?", text, best[0].value, best[0].low, best[0].high, licence)
        yield from self._answers_of_ablation(rows)
        ranked = [r for r in rows if r.metric == RANKED and r.count == _middle_count(counts)]
        near = [r for r in rows if r.metric == CHANGE and r.count == _middle_count(counts)]
        if ranked and near:
            r = ranked[0]
            nearer = r.high is not None and r.high < 0
            words = "the nearer a view's camera is to the query's, the more the prediction depends on it"
            words = words if nearer else "no clear dependence on the nearness of the camera was found"
            text = f"With each of {r.count} views left out in turn, {words}: rank correlation of added error and angle "
            text += f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f})."
            yield Answer("Which views matter?", text, r.value, r.low, r.high, "each view left out of the sum")

    def _answers_of_ablation(self, rows: Sequence[Result]) -> Iterator[Answer]:
        share = max((s for s in self.shares if s <= 0.3), default=min(self.shares))
        case = {(r.target, r.control, r.probe): r for r in rows if r.target != "prediction" and r.metric != "chance"}
        intact = case.get(("count", "none", "share 0"))
        cut = case.get(("count", f"count {TOP}", f"share {share:g}"))
        matched = [r for r in rows if (r.target, r.control, r.probe) == ("count", "norm_matched", f"share {share:g}")]
        if intact is None or cut is None or not matched:
            return
        text = (
            f"Without the {cut.n} {self.unit}s of r that a linear probe of the count uses most, the count is decoded "
            f"with an accuracy of {_percent(cut, 1)}, with all of r {percent(intact.value)}; without random ones of "
            f"the same variance, {percent(sum(r.value for r in matched) / len(matched))}."
        )
        yield Answer("Where in r is the count?", text, cut.value, cut.low, cut.high, "ablation, probes trained anew")


def _percent(row: Result, digits: int) -> str:
    """Format a share as in ``59 % (58 to 60)``."""
    low, high = (f"{round(100 * (bound or 0), digits) + 0.0:.{digits}f}" for bound in (row.low, row.high))
    return f"{percent(row.value, digits)} ({low} to {high})"


def _chance_levels(counts: Sequence[int], found: Mapping[str, Classes | Values]) -> Iterator[tuple[str, float]]:
    """Yield the accuracy of guessing: one over the number of counts, or the share of the commonest class."""
    if len(counts) > 1:
        yield "count", 1 / len(counts)
    for name, truth in found.items():
        if isinstance(truth, Classes):
            labels = truth.labels[truth.labels >= 0]
            yield name, float(labels.bincount().max()) / len(labels)


def _as_maps(rows: Float[Tensor, "s unit f"], unit: str, shape: torch.Size) -> Float[Tensor, "s d y x"]:
    pattern = "s d (y x) -> s d y x" if unit == "channel" else "s (y x) d -> s d y x"
    return rearrange(rows, pattern, y=shape[1], x=shape[2])


def _middle_count(counts: Sequence[int]) -> int:
    """Return the middle count above 1, whose views are shown."""
    some = [count for count in counts if count > 1] or list(counts)
    return some[len(some) // 2] if len(some) % 2 else some[len(some) // 2 - 1]

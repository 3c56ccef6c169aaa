"""Analysis ``rsa``: RDMs of every read-out and count beside model RDMs, nuisances, and RDMs of people or brains."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import (
    aggregation_of,
    check_inputs,
    context_rows,
    generator_names,
    generator_rows,
)
from gqn_probe.analysis.inputs.readouts import layer_names, readout_names
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, nested, nested_task, sum_views
from gqn_probe.analysis.questions.labels import read_labels
from gqn_probe.analysis.questions.targets import TARGETS, Target
from gqn_probe.analysis.rsa.comparison import ALIKE, PARTIAL, Cell, comparison_rows
from gqn_probe.analysis.rsa.model_rdms import MODEL_RDMS, build_model_rdm
from gqn_probe.analysis.rsa.rdm import DISTANCES, Rdms, compute_rdm
from gqn_probe.analysis.rsa.rdm_files import write_rdms
from gqn_probe.analysis.rsa.subjects import Candidate, format_value, read_subjects, subject_answers, subject_rows
from gqn_probe.analysis.statistics.headline import WORDS, join_words
from gqn_probe.choices import check_choice, check_names
from gqn_probe.context_range import parse_counts
from gqn_probe.data.store.store_reader import SceneSource, scene_names
from gqn_probe.progress import progress
from gqn_probe.results import Answer, Findings, Result

R = "whole"  # the read-out that is r itself
BLANK = "blank"  # r of the true cameras and the mean image: what of r is the cameras' alone
OUT = {"camera": "camera positions", "pixels": "summed pixels", BLANK: "blank images"}
NUISANCES = tuple(OUT)
ENCODED = 256  # views encoded at a time
QUESTION = "What is the geometry of r like?"
CONVENTION = (
    "Each scene is a condition. An RDM holds the distance between every two scenes: of a read-out at a count, or in "
    "one known property. Two RDMs are compared by Pearson's correlation over pairs. The partial correlation is that of "
    "their residuals after linear regression on the nuisances: camera positions, the summed pixels, and r of the same "
    "cameras with a blank image. Intervals are by bootstrap over scenes; with subjects, by the dual bootstrap over "
    "both (Schütt et al. 2023)."
)


@dataclass(frozen=True)
class RepresentationalSimilarity:
    """RSA of the study's scenes; the defaults are in ``conf/analysis/rsa.yaml``."""

    objects: int  # scenes, which are the conditions
    context: int | str | Sequence[int | str]  # counts
    inputs: str | Sequence[str]  # read-outs; "all": r and every layer of the encoder
    models: Sequence[str]  # model RDMs and probe targets
    nuisances: Sequence[str]  # of which the partial correlation is free
    labels: str | None  # a table of own targets
    distance: str  # of representations: "correlation" or "euclidean"
    untrained: int  # newly initialised networks
    bootstrap: int  # samples
    seed: int
    rdms: str | None  # a file of RDMs of people or brains, see rdm_files.py
    key: str | None  # which variable of it
    name: str = field(default="rsa", init=False)

    def __post_init__(self) -> None:
        for name, least in {"objects": 4, "bootstrap": 10, "untrained": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"analysis.{name}={getattr(self, name)} is too small: the least is {least}")
        check_choice("analysis.distance", self.distance, DISTANCES)
        if isinstance(self.inputs, str) and self.inputs != "all":
            raise ValueError(f"analysis.inputs={self.inputs} is not a list: write analysis.inputs=[{self.inputs}]")
        check_names("nuisance", self.nuisances, NUISANCES)
        check_names("model RDM", self.models, (*MODEL_RDMS, *self._targets()))

    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Write all RDMs to ``rdms.npz`` and ``rdms.h5``; return their correlations.

        Raises:
            ValueError: a read-out is unknown, a count too large, or the RDMs of others do not fit the scenes.
        """
        counts = sorted(parse_counts(self.context))
        for count in counts:
            study_inputs.check(count)
        scenes = study_inputs.scenes
        conditions = scene_names(scenes)
        matched = read_subjects(self.rdms, self.key, conditions) if self.rdms else None
        cells: dict[Cell, np.ndarray] = {}
        known: dict[tuple[str, int], np.ndarray] = {}  # model RDMs and nuisances, by count
        left_out: dict[str, list[str]] = {}
        blank = _blank_features(study_inputs) if study_inputs.predicts_images else None
        with progress("dissimilarities", len(counts), "counts") as advance:
            for count in counts:
                views = nested(len(scenes), scenes.views, count, self.seed)
                known |= {(name, count): vector for name, vector in self._known(scenes, views, left_out).items()}
                if "pixels" in readout_names(study_inputs.network):
                    known["pixels", count] = compute_rdm(
                        context_rows(study_inputs, "pixels", views).numpy(), self.distance
                    )
                if blank is not None:
                    aggregation = aggregation_of(study_inputs.network, R)
                    blanks = sum_views(blank, views, aggregation=aggregation).flatten(start_dim=1)
                    known[BLANK, count] = compute_rdm(blanks.numpy(), "euclidean")  # an encoder may ignore the camera
                for name, rows in self._rows(study_inputs, self._inputs(study_inputs), views, count):
                    cells[Cell(name, "none", count)] = self._rdm(name, rows)
                advance(1)
        for copy in range(self.untrained if study_inputs.predicts_images else 0):
            network = study_inputs.untrained(self.seed * self.untrained + copy)
            for count in counts:
                rows = context_rows(network, R, nested(len(scenes), scenes.views, count, self.seed))
                cells[Cell(R, "untrained", count, copy)] = self._rdm(R, rows)
        results = [*comparison_rows(cells, known, self.nuisances, draws=self.bootstrap, seed=self.seed)]
        of_subjects: list[Result] = []
        if matched is not None:
            candidates = {
                Candidate(cell.input, cell.control, cell.count): v for cell, v in cells.items() if not cell.copy
            }
            candidates |= {Candidate(name, "model", count): vector for (name, count), vector in known.items()}
            of_subjects = [*subject_rows(candidates, matched, draws=self.bootstrap, seed=self.seed)]
        _write(cells, known, conditions, folder)
        labels = {name: MODEL_RDMS[name].label if name in MODEL_RDMS else name.replace("_", " ") for name, _ in known}
        return Findings(
            QUESTION,
            [*results, *of_subjects],
            [*self._answers(results, labels, counts), *subject_answers(of_subjects, R)],
            CONVENTION,
            _notes(left_out, study_inputs, self.nuisances, {name for name, _ in known}),
            {
                "objects": len(conditions),
                "counts": counts,
                "labels": labels | {"pixels": "summed pixels", BLANK: "blank images"},
            },
        )

    def _targets(self) -> Mapping[str, Target]:
        return TARGETS | (read_labels(self.labels) if self.labels else {})

    def _inputs(self, study_inputs: StudyInputs) -> list[str]:
        if isinstance(self.inputs, str):
            return [R, *layer_names(study_inputs.network)]
        check_inputs(study_inputs.network, self.inputs)
        return list(dict.fromkeys((R, *self.inputs)))

    def _rdm(self, name: str, rows: Float[Tensor, "s f"]) -> Float[np.ndarray, " pair"]:
        try:
            return compute_rdm(rows.numpy(), self.distance)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _known(
        self, scenes: SceneSource, views: Selection, left_out: dict[str, list[str]]
    ) -> dict[str, Float[np.ndarray, " pair"]]:
        """Return the model RDMs that these scenes have; reasons for missing ones go to ``left_out``."""
        found = {}
        for name in dict.fromkeys((*self.models, *(name for name in self.nuisances if name in MODEL_RDMS))):
            try:
                found[name] = build_model_rdm(name, scenes, views, self._targets())
            except ValueError as error:
                left_out.setdefault(str(error), []).append(name)
        return found

    def _rows(
        self, study_inputs: StudyInputs, inputs: Sequence[str], views: Selection, count: int
    ) -> Iterator[tuple[str, Float[Tensor, "s f"]]]:
        """Yield each read-out's rows at a count; those of the generator need the query, and are traced together."""
        scenes = study_inputs.scenes
        traced = [name for name in inputs if name in generator_names(study_inputs.network)]
        if traced:
            task = nested_task(len(scenes), scenes.views, count, self.seed)
            yield from generator_rows(study_inputs, traced, task).items()
        for name in inputs:
            if name not in traced:
                yield name, context_rows(study_inputs, name, views)

    def _answers(self, results: Sequence[Result], labels: Mapping[str, str], counts: Sequence[int]) -> Iterator[Answer]:
        """Yield two answers: the property whose RDM r's resembles most, and how far r's is the cameras'."""
        first, last = counts[0], counts[-1]
        images = f"{first} image{'s' * (first > 1)}"
        own = {(r.target, r.metric, r.count): r for r in results if (r.input, r.control) == (R, "none")}
        other = {(r.target, r.metric, r.count): r for r in results if r.control == "untrained"}
        of_object = [r for r in results if r.target not in (*NUISANCES, "angle", "direction", "coverage")]
        of_object = [r for r in of_object if (r.input, r.control, r.metric, r.count) == (R, "none", PARTIAL, last)]
        if of_object:
            best = max(of_object, key=lambda row: row.value)
            case = (best.target, PARTIAL)
            out = [OUT[name] for name in self.nuisances if name in labels]
            text = f"Once {join_words(out)} are partialled out, r" if out else "r"
            text += f" of {last} images is most like the model RDM of {WORDS.get(best.target, labels[best.target])}: "
            text += f"correlation {format_value(best)}"
            text += (
                f"; r of {images}, {format_value(own[*case, first])}" if first != last and (*case, first) in own else ""
            )
            text += f"; of untrained networks, {format_value(other[*case, last])}" if (*case, last) in other else ""
            yield Answer("Which property shapes r?", f"{text}.", best.value, best.low, best.high, "partial correlation")
        seen = [own.get((BLANK, ALIKE, count)) for count in (first, last)]
        if seen[0] is not None and seen[1] is not None:
            text = f"The RDM of r of {images} correlates with that of blank images from the same cameras by "
            text += f"{format_value(seen[0])}"
            text += f"; that of r of {last} images, by {format_value(seen[1])}." if first != last else "."
            bounds = (seen[0].value, seen[0].low, seen[0].high)
            yield Answer("How much is due to the cameras?", text, *bounds, "blank images with the true cameras")


def _notes(
    left_out: Mapping[str, Sequence[str]], study_inputs: StudyInputs, nuisances: Sequence[str], there: Collection[str]
) -> list[str]:
    """Describe what could not be compared, and why."""
    notes = [f"No model RDM of {', '.join(dict.fromkeys(names))}: {why}." for why, names in left_out.items()]
    if missing := [OUT[name] for name in nuisances if name not in there]:
        notes.append(f"Not partialled out: {join_words(missing)}, since a file of features does not have them.")
    if not study_inputs.predicts_images:
        notes.append("A file of features has no untrained network as control.")
    return notes


def _write(
    cells: Mapping[Cell, np.ndarray], known: Mapping[tuple[str, int], np.ndarray], ids: Sequence[str], folder: Path
) -> None:
    """Write all RDMs that have every pair."""
    vectors = {cell.name: vector for cell, vector in cells.items()}
    vectors |= {f"{name} k={count}": vector for (name, count), vector in known.items() if np.isfinite(vector).all()}
    write_rdms(Rdms(np.stack([*vectors.values()]), tuple(vectors), tuple(ids)), folder / "rdms")


@torch.no_grad()
def _blank_features(study_inputs: StudyInputs) -> Float[Tensor, "s v *f"]:
    """Encode every camera with the mean image in place of its view: the camera's own part of r."""
    scenes, gqn, device = study_inputs.scenes, study_inputs.gqn.to(study_inputs.device), study_inputs.device
    total = torch.zeros(scenes[:1].frames.shape[2:], dtype=torch.float64)
    for start in range(0, len(scenes), ENCODED):
        total += scenes[start : start + ENCODED].frames.sum(dim=(0, 1), dtype=torch.float64)
    image = (total / (255 * len(scenes) * scenes.views)).float().to(device)
    cameras = rearrange(study_inputs.encode_cameras(scenes.cameras), "s v p -> (s v) p").to(device)
    parts = []
    with progress("encoding blank images", len(cameras), "views") as advance:
        for part in cameras.split(ENCODED):
            phi = gqn.encode(repeat(image, "c h w -> n 1 c h w", n=len(part)), part[:, None])
            parts.append(phi[:, 0].float().cpu())
            advance(len(part))
    return torch.cat(parts).unflatten(0, (len(scenes), scenes.views))

"""Analysis ``rsa``: RDMs of every read-out and count beside model RDMs, nuisances, and RDMs of people or brains."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
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
from gqn_probe.analysis.rsa.comparison import (
    LARGEST,
    Cell,
    Comparison,
    Estimate,
    compare_rdms,
    pooled_rows,
    random_blocks,
    samples_per_block,
)
from gqn_probe.analysis.rsa.model_rdms import MODEL_RDMS, build_model_rdm
from gqn_probe.analysis.rsa.rdm import DISTANCES, Rdms, compute_rdm
from gqn_probe.analysis.rsa.rdm_files import write_rdms
from gqn_probe.analysis.rsa.rsa_answers import BLANK, NUISANCES, OUT, R, geometry_answers, subject_answers
from gqn_probe.analysis.rsa.subjects import Candidate, read_subjects, subject_rows
from gqn_probe.analysis.statistics.headline import join_words
from gqn_probe.choices import check_choice, check_names
from gqn_probe.context_range import parse_counts
from gqn_probe.data.store.store_reader import SceneSource, scene_names
from gqn_probe.progress import progress
from gqn_probe.results import Findings, Result

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

    name: ClassVar[str] = "rsa"
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
        conditions = scene_names(study_inputs.scenes)
        blocks = random_blocks(len(conditions), self.seed)
        if self.rdms and len(blocks) > 1:
            raise ValueError(
                f"analysis.rdms={self.rdms} needs an RDM of all scenes, and {len(conditions)} are too many: use "
                f"analysis.objects={LARGEST} or fewer"
            )
        matched = read_subjects(self.rdms, self.key, conditions) if self.rdms else None
        found: list[dict[Comparison, Estimate]] = []
        of_subjects: list[Result] = []
        labels: dict[str, str] = {}
        left_out: dict[str, list[str]] = {}
        rng = np.random.default_rng([self.seed, 1])
        draws = samples_per_block(self.bootstrap, len(blocks))
        with progress("blocks of scenes", len(blocks), "blocks") as advance:
            for rows in blocks:
                with _some_scenes(study_inputs, rows) as part:
                    cells, known = self._rdms(part, counts, left_out)
                found.append(compare_rdms(cells, known, self.nuisances, draws=draws, rng=rng))
                labels |= {
                    name: MODEL_RDMS[name].label if name in MODEL_RDMS else name.replace("_", " ") for name, _ in known
                }
                if len(found) == 1:
                    _write(cells, known, [conditions[row] for row in rows], folder)
                if matched is not None:
                    candidates = {
                        Candidate(cell.input, cell.control, cell.count): v for cell, v in cells.items() if not cell.copy
                    }
                    candidates |= {Candidate(name, "model", count): vector for (name, count), vector in known.items()}
                    of_subjects = [*subject_rows(candidates, matched, draws=self.bootstrap, seed=self.seed)]
                advance(1)
        results = [*pooled_rows(found)]
        return Findings(
            QUESTION,
            [*results, *of_subjects],
            [*geometry_answers(results, labels, counts, self.nuisances), *subject_answers(of_subjects)],
            CONVENTION,
            [*self._notes(left_out, study_inputs, labels.keys(), blocks)],
            {
                "objects": len(conditions),
                "counts": counts,
                "labels": labels | {"pixels": "summed pixels", BLANK: "blank images"},
            },
        )

    def _rdms(
        self, study_inputs: StudyInputs, counts: Sequence[int], left_out: dict[str, list[str]]
    ) -> tuple[dict[Cell, np.ndarray], dict[tuple[str, int], np.ndarray]]:
        """Return RDMs of read-outs, and of models and nuisances by name and count."""
        scenes = study_inputs.scenes
        cells: dict[Cell, np.ndarray] = {}
        known: dict[tuple[str, int], np.ndarray] = {}
        blank = _blank_features(study_inputs) if study_inputs.predicts_images else None
        with progress("dissimilarities", len(counts), "counts") as advance:
            for count in counts:
                views = nested(len(scenes), scenes.views, count, self.seed)
                known |= {(name, count): vector for name, vector in self._known(scenes, views, left_out).items()}
                if "pixels" in readout_names(study_inputs.network):
                    pixels = context_rows(study_inputs, "pixels", views).numpy()
                    known["pixels", count] = compute_rdm(pixels, self.distance, "pixels")
                if blank is not None:
                    aggregation = aggregation_of(study_inputs.network, R)
                    blanks = sum_views(blank, views, aggregation=aggregation).flatten(start_dim=1).numpy()
                    known[BLANK, count] = compute_rdm(blanks, "euclidean", BLANK)  # an encoder may ignore the camera
                for name, rows in self._rows(study_inputs, views, count):
                    cells[Cell(name, "none", count)] = compute_rdm(rows.numpy(), self.distance, name)
                advance(1)
        for copy in range(self.untrained if study_inputs.predicts_images else 0):
            network = study_inputs.untrained(self.seed * self.untrained + copy)
            for count in counts:
                rows = context_rows(network, R, nested(len(scenes), scenes.views, count, self.seed))
                cells[Cell(R, "untrained", count, copy)] = compute_rdm(rows.numpy(), self.distance, "untrained network")
        return cells, known

    def _targets(self) -> Mapping[str, Target]:
        return TARGETS | (read_labels(self.labels) if self.labels else {})

    def _inputs(self, study_inputs: StudyInputs) -> list[str]:
        if isinstance(self.inputs, str):
            return [R, *layer_names(study_inputs.network)]
        check_inputs(study_inputs.network, self.inputs)
        return list(dict.fromkeys((R, *self.inputs)))

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
        self, study_inputs: StudyInputs, views: Selection, count: int
    ) -> Iterator[tuple[str, Float[Tensor, "s f"]]]:
        """Yield each read-out's rows at a count; those of the generator need the query, and are traced together."""
        scenes, inputs = study_inputs.scenes, self._inputs(study_inputs)
        traced = [name for name in inputs if name in generator_names(study_inputs.network)]
        if traced:
            task = nested_task(len(scenes), scenes.views, count, self.seed)
            yield from generator_rows(study_inputs, traced, task).items()
        for name in inputs:
            if name not in traced:
                yield name, context_rows(study_inputs, name, views)

    def _notes(
        self,
        left_out: Mapping[str, Sequence[str]],
        study_inputs: StudyInputs,
        there: Collection[str],
        blocks: Sequence[Sized],
    ) -> Iterator[str]:
        """Yield what could not be compared, and why; ``there`` are the model RDMs and nuisances that some block has."""
        if len(blocks) > 1:
            yield (
                f"The {len(study_inputs.scenes)} scenes were compared in {len(blocks)} random blocks of at most "
                f"{len(blocks[0])}; correlations are means over blocks. rdms.npz and the pictures of RDMs are of the "
                "first block."
            )
        for why, names in left_out.items():
            if missing := [name for name in dict.fromkeys(names) if name not in there]:
                yield f"No model RDM of {', '.join(missing)}: {why}."
        if absent := [OUT[name] for name in self.nuisances if name not in there]:
            yield f"Not partialled out: {join_words(absent)}, since a file of features does not have them."
        if not study_inputs.predicts_images:
            yield "A file of features has no untrained network as control."


@contextmanager
def _some_scenes(study_inputs: StudyInputs, rows: Int[np.ndarray, " n"]) -> Iterator[StudyInputs]:
    """Yield the inputs of some scenes; features of a part are deleted afterwards, since those of all may be large."""
    if len(rows) == len(study_inputs.scenes):
        yield study_inputs
        return
    study_inputs.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="block-", dir=study_inputs.cache) as cache:
        yield study_inputs.select(torch.from_numpy(rows), Path(cache))


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

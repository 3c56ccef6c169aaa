"""The rows that probes see: r for every object and count under a control, and which of them are trained on.

Arrays are files in a scratch folder, mapped into memory: a batch reads its rows, so thousands of objects fit.
"""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import context_rows, generator_names, generator_rows, is_sum
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import BLOCK, SOURCES, Selection, mixing_groups, nested_task
from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import LABELS, TRANSFORMS, Control
from gqn_probe.analysis.questions.splits import Split, folds_of, rows_of, split_groups, split_rows


class ProbeInputs:
    """Makes datasets, each array once."""

    def __init__(
        self,
        study_inputs: StudyInputs,
        counts: tuple[int, ...],
        settings: StudySettings,
        scratch: Path,
        representations: Float[Tensor, "s k d"],
    ) -> None:
        self.study_inputs, self.counts, self.settings, self.scratch = study_inputs, counts, settings, scratch
        self.arrays: dict[tuple[object, ...], Tensor] = {}
        self.representations = representations
        self.owners = torch.arange(len(representations)).repeat_interleave(len(counts))
        scratch.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Let go of the arrays and their files."""
        self.arrays.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def dataset(self, input: str, name: str, seed: int) -> ProbeDataset:
        """The rows of an input under the control called ``name``.

        Raises:
            ValueError: there are too few objects or shapes for the control.
        """
        control = self.settings.control[name]
        objects, counts = len(self.study_inputs.scenes), len(self.counts)
        if control.split == "row":
            split = split_rows(objects, counts, seed)
        else:
            split = Split(*(rows_of(part, counts) for part in split_groups(self._groups(control), seed)))
        tested = self._inputs(input, control, control.source, seed)
        trained = self._inputs(input, control, control.trained_on or control.source, seed)
        labels = self._labels(control.labels, seed)
        return ProbeDataset("count", input, name, seed, trained, labels, self.owners, split, tested)

    def seeds(self, name: str) -> range:
        """The seeds of the control called ``name``, which test each of its groups equally often.

        Raises:
            ValueError: the shapes that the control splits by are not known.
        """
        control = self.settings.control[name]
        if control.split == "row":
            return self.settings.probe_seeds()
        return self.settings.probe_seeds(folds_of(self._groups(control)))

    @cached_property
    def mixing(self) -> Int[Tensor, " s"]:
        """The objects that are mixed with each other."""
        return mixing_groups(len(self.study_inputs.scenes), max(self.counts), self.settings.seed)

    def _labels(self, name: str, seed: int) -> Int[Tensor, " n"]:
        key = ("labels", name, None if name == "count" else seed)
        if key not in self.arrays:
            labels = LABELS[name](len(self.study_inputs.scenes), len(self.counts), self._generator(seed, 1))
            self.arrays[key] = rearrange(labels, "s k -> (s k)").contiguous()
        return self.arrays[key]

    def _groups(self, control: Control) -> Int[Tensor, " s"]:
        factors = self.study_inputs.scenes.factors
        if control.mixes:
            return self.mixing
        if control.split != "shape":
            return torch.arange(len(self.study_inputs.scenes))
        if factors is None:
            raise ValueError("a split by shape needs stimuli whose shapes are known, such as rendered ones")
        return factors.mirror_class

    def coherent(self, input: str) -> Float[Tensor, "s k f"]:
        """The input for the study's own contexts."""
        return self._sums(input, self.settings.control["none"], "nested", 0)

    def _inputs(self, input: str, control: Control, source: str, seed: int) -> Float[Tensor, "n f"]:
        if control.transform == "divided" and not is_sum(self.study_inputs.gqn, control.input or input):
            raise ValueError(f"{input} is no sum, and dividing it would tell the count")
        sums = self._sums(input, control, source, seed)
        if control.transform != "identity":
            own_seed = seed if control.transform == "norm_matched" else None
            key = (id(sums), control.transform, own_seed)
            if key not in self.arrays:
                self.arrays[key] = self._transformed(sums, control, seed)
            sums = self.arrays[key]
        return rearrange(sums, "s k f -> (s k) f")

    def _sums(self, input: str, control: Control, source: str, seed: int) -> Float[Tensor, "s k f"]:
        """Rows before any transform, made once for all controls and seeds that share them."""
        name = control.input or input
        own, number = self.settings.seed, self.settings.untrained
        encoder = own * number + seed % number if control.encoder == "untrained" else None
        key = (name, source, encoder)
        if key == ("pooled", "nested", None):
            return self.representations
        if key not in self.arrays and name in generator_names(self.study_inputs.gqn):
            if (source, encoder) != ("nested", None):
                raise ValueError(f"{name} is traced for the study's own contexts alone")
            self._trace()
        if key not in self.arrays:
            study_inputs = self.study_inputs if encoder is None else self.study_inputs.untrained(encoder)
            self.arrays[key] = self._filled(
                lambda count: context_rows(study_inputs, name, self._selection(source, count))
            )
        return self.arrays[key]

    def _selection(self, source: str, count: int) -> Selection:
        scenes = self.study_inputs.scenes
        return SOURCES[source](len(scenes), scenes.views, count, self.settings.seed, self.mixing)

    def _trace(self) -> None:
        """All generator read-outs that are asked for, in one pass a count."""
        scenes = self.study_inputs.scenes
        names = [name for name in self.settings.inputs if name in generator_names(self.study_inputs.gqn)]
        for column, count in enumerate(self.counts):
            task = nested_task(len(scenes), scenes.views, count, self.settings.seed)
            for name, rows in generator_rows(self.study_inputs, names, task).items():
                key = (name, "nested", None)
                if key not in self.arrays:
                    self.arrays[key] = self._array((len(rows), len(self.counts), rows.shape[1]))
                self.arrays[key][:, column] = rows

    def _filled(self, rows_of_count: Callable[[int], Float[Tensor, "s f"]]) -> Float[Tensor, "s k f"]:
        first = rows_of_count(self.counts[0])
        array = self._array((len(first), len(self.counts), first.shape[1]))
        array[:, 0] = first
        for column, count in enumerate(self.counts[1:], start=1):
            array[:, column] = rows_of_count(count)
        return array

    def _transformed(self, sums: Float[Tensor, "s k f"], control: Control, seed: int) -> Float[Tensor, "s k g"]:
        transform, counts = TRANSFORMS[control.transform], torch.tensor(self.counts)
        generator = self._generator(seed, 2)
        width = transform(sums[:1], counts, torch.Generator()).shape[-1]
        rows = self._array((len(sums), len(counts), width))
        for start in range(0, len(sums), BLOCK):
            rows[start : start + BLOCK] = transform(sums[start : start + BLOCK], counts, generator)
        return rows

    def _array(self, shape: tuple[int, int, int]) -> Float[Tensor, "s k f"]:
        path = self.scratch / f"{len(list(self.scratch.iterdir()))}.bin"
        size = shape[0] * shape[1] * shape[2]
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).reshape(shape)

    def _generator(self, seed: int, salt: int) -> torch.Generator:
        return torch.Generator().manual_seed(10 * seed + salt)

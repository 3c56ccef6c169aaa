"""The rows that probes see: r for every object and count under a control, and which of them are trained on.

Arrays are files in a scratch folder, mapped into memory: a batch reads its rows, so thousands of objects fit.
"""

import shutil
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.cases import Case
from gqn_probe.analysis.controls import LABELS, TRANSFORMS, Control
from gqn_probe.analysis.material import Material
from gqn_probe.analysis.settings import StudySettings
from gqn_probe.analysis.splits import Split, rows_of, split_groups, split_rows
from gqn_probe.analysis.sums import BLOCK, sum_views
from gqn_probe.analysis.views import SOURCES


class RowStore:
    """Makes cases, each array once."""

    def __init__(
        self,
        material: Material,
        counts: tuple[int, ...],
        settings: StudySettings,
        scratch: Path,
        representations: Float[Tensor, "s k d"],
    ) -> None:
        self.material, self.counts, self.settings, self.scratch = material, counts, settings, scratch
        self.arrays: dict[tuple[object, ...], Tensor] = {}
        self.representations = representations
        scratch.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Let go of the arrays and their files."""
        self.arrays.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def case(self, input: str, name: str, seed: int) -> Case:
        """The rows of an input under the control called ``name``.

        Raises:
            ValueError: there are too few objects or shapes for the control.
        """
        control = self.settings.control[name]
        objects, counts = len(self.material.scenes), len(self.counts)
        groups = self._groups(control)
        parts = split_groups(groups, seed)
        by_row = control.split == "row"
        split = split_rows(objects, counts, seed) if by_row else Split(*(rows_of(part, counts) for part in parts))
        labels = LABELS[control.labels](objects, counts, self._generator(seed, 1))
        tested = self._inputs(input, control, control.source, seed, parts)
        trained = self._inputs(input, control, control.trained_on or control.source, seed, parts)
        owners = torch.arange(objects).repeat_interleave(counts)
        labels = rearrange(labels, "s k -> (s k)").contiguous()
        return Case("count", input, name, seed, trained, labels, owners, split, tested)

    def _groups(self, control: Control) -> Int[Tensor, " s"]:
        factors = self.material.scenes.factors
        if control.split != "shape":
            return torch.arange(len(self.material.scenes))
        if factors is None:
            raise ValueError("a split by shape needs stimuli whose shapes are known, such as rendered ones")
        return factors.mirror_class

    def _inputs(self, input: str, control: Control, source: str, seed: int, parts: Split) -> Tensor:
        sums_key = (source, *self._readout_key(input, control, seed), seed if source == "incoherent" else None)
        key = (*sums_key, control.transform, seed if control.transform == "norm_matched" else None)
        if key not in self.arrays:
            sums = self._sums(sums_key, input, control, source, seed, parts)
            if control.transform == "identity":
                self.arrays[key] = rearrange(sums, "s k f -> (s k) f")
            else:
                self.arrays[key] = rearrange(self._transformed(sums, control, seed), "s k f -> (s k) f")
        return self.arrays[key]

    def _readout_key(self, input: str, control: Control, seed: int) -> tuple[object, ...]:
        encoder = seed % self.settings.untrained if control.encoder == "untrained" else None
        return (control.input or input, encoder)

    def _sums(
        self, key: tuple[object, ...], input: str, control: Control, source: str, seed: int, parts: Split
    ) -> Float[Tensor, "s k f"]:
        if key in self.arrays:
            return self.arrays[key]
        name, encoder = self._readout_key(input, control, seed)
        if (source, name, encoder) == ("nested", "pooled", None):
            self.arrays[key] = self.representations
            return self.representations
        material = self.material if encoder is None else self.material.untrained(int(str(encoder)))
        phi = material.features((str(name),))[str(name)].flatten(start_dim=2)
        scenes, views, width = phi.shape
        rows = self._array((scenes, len(self.counts), width))
        aggregation = material.gqn.aggregation if name not in ("pixels", "cameras") else "sum"
        for column, count in enumerate(self.counts):
            selection = SOURCES[source](scenes, views, count, self.settings.seed, tuple(parts))
            rows[:, column] = sum_views(phi, selection, aggregation=aggregation)
        self.arrays[key] = rows
        return rows

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
        return torch.Generator().manual_seed(1000 * self.settings.seed + 10 * seed + salt)

"""Design matrices of the probes: one row an object and count for each input and control.

Count probes see wide read-outs along their leading axes, onto which single views are projected, so that sums of any
views are projected alike; targets are decoded from all numbers. Arrays are memory-mapped files in a scratch folder.
"""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import (
    aggregation_of,
    context_rows,
    generator_names,
    generator_rows,
    is_sum,
    view_features,
)
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import BLOCK, SOURCES, Selection, mixing_groups, nested_task, sum_views
from gqn_probe.analysis.probes.dataset import ProbeDataset, new_rows
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import LABELLERS, TRANSFORMS, Control
from gqn_probe.analysis.questions.splits import Split, folds_of, rows_of, split_groups, split_rows
from gqn_probe.atomic_io import reserve

AXIS_VIEWS = 4096  # views that the leading axes are estimated from, at most
COPIES = 3  # copies of its rows that a probe makes: rotated, of training, and errors


class ProbeInputs:
    """Builds each (input, control) design matrix once, memory-mapped on disk."""

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
        self.encoders: dict[int, StudyInputs] = {}
        self.retained: dict[str, float] = {}  # share of the views' squared length along the axes of a reduced read-out
        self.representations = representations
        self.objects = torch.arange(len(representations))
        scratch.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Release the arrays and delete their files."""
        self.arrays.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def dataset(self, input: str, name: str, seed: int) -> ProbeDataset:
        """Return the data set of an input under the control ``name``.

        Raises:
            ValueError: there are too few objects or shapes for the control.
        """
        control = self.settings.control[name]
        objects, counts = len(self.objects), len(self.counts)
        if control.split == "row":
            split = split_rows(objects, counts, seed)
        else:
            split = Split(*(rows_of(part, counts) for part in split_groups(self.units(control), seed)))
        trained_on, tested_on = control.trained_on or control.source, control.source
        features = self._rows(input, control, trained_on, seed)
        return ProbeDataset(
            target="count",
            input=input,
            control=name,
            seed=seed,
            features=features,
            labels=self._labels(control.labels, seed),
            groups=self.objects.repeat_interleave(counts),
            split=split,
            test_features=features if tested_on == trained_on else self._rows(input, control, tested_on, seed),
            encoder=self.encoder(control, seed) or 0,
            scaling="column" if control.transform == "norm" else "common",
            scratch=None if self.settings.fits_memory(COPIES * features.nbytes) else self.scratch,
        )

    def seeds(self, name: str) -> range:
        """Return the seeds of the control ``name``, which test each of its groups equally often.

        Raises:
            ValueError: the control splits by shape, and shapes are unknown.
        """
        control = self.settings.control[name]
        if control.split == "row":
            return self.settings.probe_seeds()
        return self.settings.probe_seeds(folds_of(self.units(control)))

    def units(self, control: Control) -> Int[Tensor, " s"]:
        """Return the unit of split and intervals of each object: itself, its mixing group, or its shape.

        Raises:
            ValueError: the control splits by shape, and shapes are unknown.
        """
        if control.mixes_objects:
            return self.mixing
        if control.split != "shape":
            return self.objects
        factors = self.study_inputs.scenes.factors
        if factors is None:
            raise ValueError("a split by shape needs stimuli of known shapes, such as rendered ones")
        return factors.mirror_class.unique(return_inverse=True)[1]

    def is_view_readout(self, input: str) -> bool:
        """Return True for read-outs of single views, which untrained encoders have, too."""
        return input != "views" and input not in generator_names(self.study_inputs.network)

    def encoder(self, control: Control, seed: int) -> int | None:
        """Return the untrained encoder that a seed's rows are of; None for the trained one."""
        return seed % self.settings.untrained if control.encoder == "untrained" else None

    @cached_property
    def mixing(self) -> Int[Tensor, " s"]:
        """The group within which each object is mixed."""
        return mixing_groups(len(self.objects), max(self.counts), self.settings.seed)

    def unreduced_rows(self, input: str, column: int, encoder: int | None = None) -> Float[Tensor, "s f"]:
        """Return all numbers of an input at the count in ``column``, one row an object."""
        if (input, encoder) == ("pooled", None):
            return self.representations[:, column].contiguous()
        if input in generator_names(self.study_inputs.network):
            return self._sums(input, "nested", encoder)[:, column].contiguous()
        network, selection = self._network(encoder), self._selection("nested", self.counts[column])
        parts = torch.arange(len(self.objects)).split(BLOCK)
        first = context_rows(network, input, Selection(selection.scenes[parts[0]], selection.views[parts[0]]))
        fits = self.settings.fits_memory(len(self.objects) * first[0].nbytes)
        rows = new_rows(len(self.objects), first.shape[1], None if fits else self.scratch)
        for part in parts:
            rows[part] = context_rows(network, input, Selection(selection.scenes[part], selection.views[part]))
        return rows

    def views(self, input: str, encoder: int | None = None) -> Float[Tensor, "s v f"]:
        """Return a read-out of every view, projected onto its leading axes if wide."""
        key = ("views", input, encoder)
        if key not in self.arrays:
            phi = view_features(self._network(encoder), input)
            if self._is_wide(input):
                axes, kept = _leading_axes(phi, self.settings.axes)
                along = self._array((phi.shape[0], phi.shape[1], axes.shape[1]))
                for part in torch.arange(len(phi)).split(BLOCK):
                    along[part] = phi[part] @ axes
                phi = along
                self.retained[input] = min(kept, self.retained.get(input, 1.0))
            self.arrays[key] = phi
        return self.arrays[key]

    def _network(self, encoder: int | None) -> StudyInputs:
        if encoder is None:
            return self.study_inputs
        if encoder not in self.encoders:
            self.encoders[encoder] = self.study_inputs.untrained(self.settings.seed * self.settings.untrained + encoder)
        return self.encoders[encoder]

    def _labels(self, name: str, seed: int) -> Int[Tensor, " n"]:
        key = ("labels", name, None if name == "count" else seed)
        if key not in self.arrays:
            labels = LABELLERS[name](len(self.objects), len(self.counts), self._generator(seed, 1))
            self.arrays[key] = rearrange(labels, "s k -> (s k)").contiguous()
        return self.arrays[key]

    def _rows(self, input: str, control: Control, source: str, seed: int) -> Float[Tensor, "n f"]:
        name, encoder = control.input or input, self.encoder(control, seed)
        if control.transform == "divided" and not is_sum(self.study_inputs.network, name):
            raise ValueError(f"{input} is no sum, so that dividing it by the count would give the count away")
        if control.transform == "norm" and self._is_wide(name):
            key = (name, source, encoder, "norm")
            if key not in self.arrays:  # norms of all numbers, not of the projection
                network, transform = self._network(encoder), TRANSFORMS["norm"]

                def norms(count: int) -> Tensor:
                    rows = context_rows(network, name, self._selection(source, count))
                    return transform(rows[:, None], torch.tensor([count]), torch.Generator())[:, 0]

                self.arrays[key] = self._filled(norms)
            return rearrange(self.arrays[key], "s k f -> (s k) f")
        sums = self._sums(name, source, encoder)
        if control.transform != "identity":
            own_seed = seed if control.transform == "norm_matched" else None
            key = (id(sums), control.transform, own_seed)
            if key not in self.arrays:
                self.arrays[key] = self._transformed(sums, control, seed)
            sums = self.arrays[key]
        return rearrange(sums, "s k f -> (s k) f")

    def _is_wide(self, name: str) -> bool:
        if name == "pooled" or not self.is_view_readout(name):
            return False
        return view_features(self.study_inputs, name).shape[2] > self.settings.axes

    def _sums(self, name: str, source: str, encoder: int | None) -> Float[Tensor, "s k f"]:
        """Return sums before any transform, computed once for all controls and seeds."""
        key = (name, source, encoder)
        if key == ("pooled", "nested", None):
            return self.representations
        if key not in self.arrays and name in generator_names(self.study_inputs.network):
            if (source, encoder) != ("nested", None):
                raise ValueError(f"{name} is a state of the generator, which is traced for nested contexts alone")
            self._trace()
        if key not in self.arrays:
            network = self._network(encoder)
            if name == "views":
                self.arrays[key] = self._filled(
                    lambda count: context_rows(network, name, self._selection(source, count))
                )
            else:
                phi, aggregation = self.views(name, encoder), aggregation_of(network.network, name)
                self.arrays[key] = self._filled(
                    lambda count: sum_views(phi, self._selection(source, count), aggregation=aggregation)
                )
        return self.arrays[key]

    def _selection(self, source: str, count: int) -> Selection:
        return SOURCES[source](
            len(self.objects), self.study_inputs.scenes.views, count, self.settings.seed, self.mixing
        )

    def _trace(self) -> None:
        """Compute all requested generator read-outs, in one pass a count."""
        scenes = self.study_inputs.scenes
        names = [name for name in self.settings.inputs if name in generator_names(self.study_inputs.network)]
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

    def _transformed(
        self, sums: Float[Tensor, "s k f"], control: Control, seed: int
    ) -> Float[Tensor, "s k transformed"]:
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
        reserve(path, 4 * size)
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).reshape(shape)

    def _generator(self, seed: int, salt: int) -> torch.Generator:
        return torch.Generator().manual_seed(10 * seed + salt)


def _leading_axes(phi: Float[Tensor, "s v f"], number: int) -> tuple[Float[Tensor, "f axis"], float]:
    """Return the leading right singular vectors of views, and their share of the squared norm.

    Views are not centred, so that projecting commutes with summing; labels are not used.
    """
    rows = rearrange(phi, "s v f -> (s v) f")
    some = rows[torch.linspace(0, len(rows) - 1, min(AXIS_VIEWS, len(rows))).long()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        axes = torch.svd_lowrank(some, q=min(number, *some.shape), niter=2)[2]
    return axes, float((some @ axes).square().sum() / some.square().sum())

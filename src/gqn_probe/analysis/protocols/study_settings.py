"""The settings of a study, as plain values; their defaults are in ``conf/probe/``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gqn_probe.analysis.inputs.feature_file import FeatureFile, Network
from gqn_probe.analysis.inputs.view_selection import TASKS
from gqn_probe.analysis.probes.evaluation import Probe
from gqn_probe.analysis.questions.controls import Control
from gqn_probe.analysis.questions.labels import read_labels
from gqn_probe.analysis.questions.splits import FOLDS
from gqn_probe.analysis.questions.targets import TARGETS, Target
from gqn_probe.choices import check_choice, check_names

HEADLINE = ("none", "norm")  # r as it is, and its length
LEAST = dict.fromkeys(("objects", "seeds", "axes", "show", "permutations", "untrained"), 1) | {
    "seed": 0,
    "reconstruct": 2,  # a control predicts each from another scene's representation
    "samples": 2,  # a spread
}


@dataclass(frozen=True)
class StudySettings:
    """What is studied and how; counts are the jobs', everything else is here."""

    protocol: str  # "study" or "original"
    objects: int  # scenes that r is formed of
    seeds: int  # probe seeds; each holds out another fifth of the objects
    seed: int  # of views, probe seeds and samples
    inputs: Sequence[str]  # read-out points, see readouts.py; the headline is of the first
    axes: int  # leading axes along which count probes see a wider input
    targets: Sequence[str]  # what is read out, see targets.py
    labels: str | None  # a table of own targets, see labels.py
    probes: Mapping[str, Probe | None]  # by name; None switches one off
    controls: str | Sequence[str]  # "all", or names in ``control``
    control: Mapping[str, Control]  # what there is to choose from
    strengths: Sequence[float]  # of ridge when targets are decoded, see ridge.py
    widths: Sequence[float]  # of Gaussian kernels, times the median distance
    memory_gb: float  # of rows in memory at most; more are streamed from files
    train_objects: Sequence[int]  # sizes of the learning curve, as far as there are so many
    reconstruct: int  # scenes whose query is reconstructed at each count
    samples: int  # drawn of each of these, for spread and likelihood
    show: int  # of these, how many are kept as images
    permutations: int
    untrained: int  # newly initialised encoders, shared out among the seeds

    def __post_init__(self) -> None:
        check_choice("probe.protocol", self.protocol, TASKS)
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"probe.{name} must be a whole number, at least {least}, got {value}")
        for name, example in (("inputs", "pooled"), ("targets", "count"), ("controls", "norm")):
            value = getattr(self, name)
            if isinstance(value, str) and (name, value) != ("controls", "all"):
                raise ValueError(f"probe.{name}={value} is not a list: write probe.{name}=[{value}]")
            if not isinstance(value, Sequence) or not (value or name == "controls"):
                raise ValueError(f"probe.{name}={value} names none: write a list such as probe.{name}=[{example}]")
        if not isinstance(self.memory_gb, int | float) or self.memory_gb <= 0:
            raise ValueError(f"probe.memory_gb must be a number above 0, got {self.memory_gb}")
        # lists from YAML become tuples, so that settings stay frozen
        for name in ("inputs", "targets", "strengths", "widths", "train_objects"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.controls != "all":
            object.__setattr__(self, "controls", tuple(self.controls))
        if not (self.probes and self.active_probes):
            raise ValueError("probe.probes is empty: keep at least one, such as linear")
        check_names("target", self.targets, ("count", *self.known_targets))
        check_names("control", self.chosen, self.control)

    def supported_by(self, network: Network) -> "StudySettings":
        """The same without what a file of features does not have: weights to forget, images, another kind of r."""
        if not isinstance(network, FeatureFile):
            return self
        controls = [name for name in self.chosen if self._can(self.control[name], network)]
        inputs = tuple(name for name in self.inputs if name != "pooled") or ("whole",)
        return replace(self, inputs=inputs, controls=controls)

    def _can(self, control: Control, network: FeatureFile) -> bool:
        return control.encoder == "trained" and control.input in ("", *network.readouts)

    @property
    def known_targets(self) -> dict[str, Target]:
        """Registered targets, and those of the table of own labels."""
        return TARGETS | (read_labels(self.labels) if self.labels else {})

    @property
    def chosen(self) -> tuple[str, ...]:
        """The controls to run; the headline's two, r as it is and its length, are always among them."""
        names = tuple(self.control) if self.controls == "all" else tuple(self.controls)
        return tuple(dict.fromkeys((*HEADLINE, *names)))

    def fits_memory(self, size: float) -> bool:
        """Whether so many bytes may be kept in memory."""
        return size <= self.memory_gb * 1e9

    def probe_seeds(self, folds: int = FOLDS) -> range:
        """Seeds that no study of another ``seed`` has; fewer folds are gone through as often as five would be."""
        number = max(1, round(self.seeds * folds / FOLDS))
        return range(self.seed * number, (self.seed + 1) * number)

    @property
    def active_probes(self) -> dict[str, Probe]:
        """The probes that are not switched off."""
        return {name: probe for name, probe in self.probes.items() if probe is not None}

    @property
    def headline(self) -> str:
        """The probe that the headline is about: linear, or the first there is."""
        return "linear" if "linear" in self.active_probes else next(iter(self.active_probes))

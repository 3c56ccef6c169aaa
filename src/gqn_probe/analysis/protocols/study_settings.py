"""Settings of a study; defaults are in ``conf/probe/``."""

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

HEADLINE = ("none", "norm")  # controls of the headline: r, and its length
LEAST = dict.fromkeys(("objects", "seeds", "axes", "show", "permutations", "untrained"), 1) | {
    "seed": 0,
    "reconstruct": 2,  # a control predicts from the representation of another scene
    "samples": 2,  # for a variance
}


@dataclass(frozen=True)
class StudySettings:
    """Everything that a study depends on beside its counts, network and scenes."""

    protocol: str  # "study" or "original"
    objects: int  # number of scenes
    seeds: int  # probe seeds; each tests another fifth of the objects
    seed: int  # of views, probe seeds and samples
    inputs: Sequence[str]  # read-out points, see readouts.py; the first is that of the headline
    axes: int  # leading axes that wider inputs of count probes are projected onto
    targets: Sequence[str]  # decoding targets, see targets.py
    labels: str | None  # CSV of user-defined targets, see labels.py
    probes: Mapping[str, Probe | None]  # by name; None switches one off
    controls: str | Sequence[str]  # "all", or names in ``control``
    control: Mapping[str, Control]  # all controls by name
    strengths: Sequence[float]  # candidates for the ridge regression of targets, see ridge.py
    widths: Sequence[float]  # candidates for Gaussian kernels, in units of the median distance
    memory_gb: float  # limit on rows in memory; larger data is streamed from files
    train_objects: Sequence[int]  # training sizes of the learning curve; those above the data are left out
    reconstruct: int  # scenes whose query is predicted at each count
    samples: int  # samples of each of these, for spread and likelihood
    show: int  # scenes of these whose images are written
    permutations: int
    untrained: int  # untrained encoders, distributed over the seeds

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
        """Return the settings without what a feature file lacks: untrained weights, images, positions to pool."""
        if not isinstance(network, FeatureFile):
            return self
        controls = [name for name in self.chosen if self._can(self.control[name], network)]
        inputs = tuple(name for name in self.inputs if name != "pooled") or ("whole",)
        return replace(self, inputs=inputs, controls=controls)

    def _can(self, control: Control, network: FeatureFile) -> bool:
        return control.encoder == "trained" and control.input in ("", *network.readouts)

    @property
    def known_targets(self) -> dict[str, Target]:
        """Registered and user-defined targets by name."""
        return TARGETS | (read_labels(self.labels) if self.labels else {})

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the controls to run; always with those of the headline."""
        names = tuple(self.control) if self.controls == "all" else tuple(self.controls)
        return tuple(dict.fromkeys((*HEADLINE, *names)))

    def fits_memory(self, size: float) -> bool:
        """Return True if ``size`` bytes are within the limit on memory."""
        return size <= self.memory_gb * 1e9

    def probe_seeds(self, folds: int = FOLDS) -> range:
        """Return the probe seeds, disjoint from those of a study of another ``seed``; in proportion to the folds."""
        number = max(1, round(self.seeds * folds / FOLDS))
        return range(self.seed * number, (self.seed + 1) * number)

    @property
    def active_probes(self) -> dict[str, Probe]:
        """Probes that are not switched off."""
        return {name: probe for name, probe in self.probes.items() if probe is not None}

    @property
    def headline(self) -> str:
        """The probe of the headline: ``linear``, else the first."""
        return "linear" if "linear" in self.active_probes else next(iter(self.active_probes))

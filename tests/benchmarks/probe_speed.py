"""CPU time of the default study's probes: ``python tests/benchmarks/probe_speed.py [--objects 300] [--ratio]``.

r is a random non-negative matrix of the default network's size (256 points of 32 channels), in which views of an object
are correlated; untrained encoders are other draws. Encoding, images and report are left out. CPU seconds of one thread,
which other programs hardly change, are given part by part; with ``--ratio``, those of one data set and one count beside
scikit-learn on all numbers of r: a logistic regression a strength, and a ridge regression a target.
"""

import argparse
import cProfile
import logging
import pstats
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV, RidgeCV
from torch import Tensor

from gqn_probe.analysis.inputs.features import Features
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.probes.dataset import to_principal_axes
from gqn_probe.analysis.probes.linear import Linear
from gqn_probe.analysis.protocols.count_probe import CountProbe
from gqn_probe.analysis.protocols.decoding import LINEAR, KernelCache, Source, TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.splits import split_groups
from gqn_probe.analysis.questions.targets import Classes, Values
from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.model import GQN
from gqn_probe.run import job

ROOT = Path(__file__).parents[2]
PARTS = {
    "leading axes": "_leading_axes",
    "rows": "_rows",
    "linear": "linear.py:evaluate",
    "description length": "code_lengths",
    "ridge": "ridge.py:evaluate",
    "perceptron": "perceptron.py:evaluate",
    "neighbours, means": "knn.py:evaluate",
    "scores": "_add",
    "tally": "_tally_rows",
    "decoding": "decoding.py:rows",
}


@dataclass(frozen=True)
class PlantedInputs(StudyInputs):
    """Study inputs with random features."""

    width: tuple[int, int] = (256, 32)
    draw: int = 0

    def features(self, readouts: Sequence[str], scenes: object = None) -> Features:
        return Features({name: drawn(name, self.draw, len(self.scenes), self.width) for name in readouts})

    def untrained(self, seed: int) -> "PlantedInputs":
        return replace(self, draw=seed + 1)


@cache
def drawn(name: str, draw: int, objects: int, width: tuple[int, int]) -> Tensor:
    """Draw the read-outs of 16 views of each object."""
    generator = torch.Generator().manual_seed(draw)
    if name in ("pixels", "cameras"):
        return torch.rand(objects, 16, 192 if name == "pixels" else 7, generator=generator)
    latent = torch.randn(objects, 1, 32, generator=generator) + 0.7 * torch.randn(objects, 16, 32, generator=generator)
    whole = latent @ torch.randn(32, width[0] * width[1], generator=generator)
    whole = (whole + 0.5 * torch.randn(whole.shape, generator=generator)).relu() / 8
    return whole.unflatten(2, width).mean(dim=2) if name == "pooled" else whole


def ratios(inputs: ProbeInputs, settings: StudySettings) -> None:
    """Print the CPU time of the count's linear probe and of decoding at the largest count beside scikit-learn's."""
    last = len(inputs.counts) - 1
    wide = torch.stack([inputs.unreduced_rows("whole", column) for column in range(last + 1)], dim=1).flatten(0, 1)
    dataset, probe = inputs.dataset("whole", "none", 0), settings.active_probes["linear"]
    assert isinstance(probe, Linear)
    decoder = TargetDecoder(inputs, settings)
    targets = {name: found for name, found in decoder._truths([])[last].items() if name != "chirality"}

    def linear() -> None:
        to_principal_axes.cache_clear()
        probe.evaluate([dataset], torch.tensor(inputs.counts).float(), "cpu")

    def plain_linear() -> None:
        train, validation, labels = dataset.split.train, dataset.split.validation, dataset.labels.numpy()
        rows = (wide - wide[train].mean(dim=0)) / wide[train].std(dim=0).square().mean().sqrt()
        for strength in probe.l2:
            model = LogisticRegression(C=1 / (strength * len(train)), max_iter=probe.epochs)
            model.fit(rows[train].numpy(), labels[train]).score(rows[validation].numpy(), labels[validation])

    def decoding() -> None:
        source = Source("whole", "none")
        decoder._decode(source, LINEAR, last, targets, KernelCache(inputs, source, last))

    def plain_decoding() -> None:
        rows = inputs.unreduced_rows("whole", last).numpy()
        for seed in settings.probe_seeds():
            split = split_groups(inputs.objects, seed)
            train = torch.cat([split.train, split.validation]).numpy()
            for target in targets.values():
                plain_target(target, rows, train, settings.strengths).predict(rows[split.test.numpy()])

    pairs: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        f"count, {len(probe.l2)} strengths": (linear, plain_linear),
        f"{len(targets)} targets, {len(settings.strengths)} strengths": (decoding, plain_decoding),
    }
    for name, (ours, plain) in pairs.items():
        ours_seconds, plain_seconds = seconds(ours), seconds(plain)
        print(f"{name:>24} {plain_seconds:7.2f} s plain {ours_seconds:7.2f} s: {plain_seconds / ours_seconds:.1f}x")


def plain_target(
    target: Classes | Values, rows: np.ndarray, train: np.ndarray, strengths: Sequence[float]
) -> RidgeCV | RidgeClassifierCV:
    """Fit scikit-learn's ridge regression of one target, with its leave-one-out cross-validation."""
    scale = rows[train].var(axis=0).sum()  # strengths are in units of the mean square of a row
    alphas = [strength * scale for strength in strengths]
    if isinstance(target, Classes):
        return RidgeClassifierCV(alphas=alphas).fit(rows[train], target.labels[train].numpy())
    return RidgeCV(alphas=alphas).fit(rows[train], target.values[train].numpy())


def seconds(run: Callable[[], None]) -> float:
    """Return the least CPU time of two runs."""
    times = []
    for _ in range(2):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--ratio", action="store_true", help="beside scikit-learn, in place of the whole study")
    parser.add_argument("overrides", nargs="*", help="of the probe's configuration, such as probe.seeds=1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # of Lightning, and of scikit-learn: not converged
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = job.instantiate(compose("probe", [f"probe.objects={options.objects}", *options.overrides]).probe)
        gqn = job.instantiate(compose("train", ["model=points"]).model)
    assert isinstance(gqn, GQN)
    scenes = render_scenes(options.objects, views=16, size=8)
    with tempfile.TemporaryDirectory() as folder:
        planted = PlantedInputs(gqn, scenes, encode_cameras, "planted", Path(folder), usable_views=15)
        counts = tuple(range(2, 16))
        pooled = planted.features(("pooled",))["pooled"].cumsum(dim=1)[:, 1:15]
        inputs = ProbeInputs(planted, counts, settings, Path(folder) / "rows", pooled)
        if options.ratio:
            return ratios(inputs, settings)
        probe = CountProbe(inputs, settings)
        profile, start = cProfile.Profile(time.process_time), time.process_time()
        profile.enable()
        outcome = probe.outcome()
        profile.disable()
        print(f"{time.process_time() - start:.0f} s of one thread, {len(outcome.results)} results")
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for part, place in PARTS.items():
        file, _, function = place.rpartition(":")
        spent = sum(value[3] for key, value in stats.items() if key[2] == function and key[0].endswith(file))
        print(f"{part:>20} {spent:7.1f} s")
    for answer in outcome.answers:
        print(answer.text)
    return None


if __name__ == "__main__":
    main()

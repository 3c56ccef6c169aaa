"""How long the probes of the default study take: ``python tests/benchmarks/probe_speed.py [--objects 300]``.

r is a random non-negative matrix of the default network's size (256 points of 32 channels), in which views of an object
have much in common; trained and untrained encoders are other draws. Encoding, pictures and report are left out. CPU
seconds of one thread are counted, which other programs hardly change, part by part.
"""

import argparse
import cProfile
import logging
import pstats
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from gqn_probe.analysis.inputs.features import Features
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.protocols.count_probe import CountProbe
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.model import GQN
from gqn_probe.run import job

ROOT = Path(__file__).parents[2]
PARTS = {
    "leading axes": "_along_leading_axes",
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
    """Random features in place of a network's."""

    width: tuple[int, int] = (256, 32)
    draw: int = 0

    def features(self, readouts: Sequence[str], scenes: object = None) -> Features:
        return Features({name: drawn(name, self.draw, len(self.scenes), self.width) for name in readouts})

    def untrained(self, seed: int) -> "PlantedInputs":
        return replace(self, draw=seed + 1)


@cache
def drawn(name: str, draw: int, objects: int, width: tuple[int, int]) -> Tensor:
    """Read-outs of 16 views of each object."""
    generator = torch.Generator().manual_seed(draw)
    if name in ("pixels", "cameras"):
        return torch.rand(objects, 16, 192 if name == "pixels" else 7, generator=generator)
    latent = torch.randn(objects, 1, 32, generator=generator) + 0.7 * torch.randn(objects, 16, 32, generator=generator)
    whole = latent @ torch.randn(32, width[0] * width[1], generator=generator)
    whole = (whole + 0.5 * torch.randn(whole.shape, generator=generator)).relu() / 8
    return whole.unflatten(2, width).mean(dim=2) if name == "pooled" else whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("overrides", nargs="*", help="of the probe's configuration, such as probe.seeds=1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = job.instantiate(compose("probe", [f"probe.objects={options.objects}", *options.overrides]).probe)
        gqn = job.instantiate(compose("train", ["model=points"]).model)
    assert isinstance(gqn, GQN)
    scenes = render_scenes(options.objects, views=16, size=8)
    with tempfile.TemporaryDirectory() as folder:
        planted = PlantedInputs(gqn, scenes, encode_cameras, "planted", Path(folder), usable_views=15)
        counts = tuple(range(2, 16))
        pooled = planted.features(("pooled",))["pooled"].cumsum(dim=1)[:, 1:15]
        probe = CountProbe(ProbeInputs(planted, counts, settings, Path(folder) / "rows", pooled), settings)
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


if __name__ == "__main__":
    main()

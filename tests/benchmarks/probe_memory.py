"""What a study of many objects takes: ``python tests/benchmarks/probe_memory.py [--objects N] [--whole] [OVERRIDES]``.

Objects are real and features are planted: each view tells cubes, colours and camera through a random layer of as many
units as are asked for, so that all there is to measure is the study. Overrides are those of ``probe.py``. Prints the
CPU time of each stage, and the peak of memory that is the process' own: pages of mapped files, which the system takes
back when it needs to, are not in it, but stand beside it.
"""

import argparse
import logging
import resource
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from gqn_probe.analysis import StudyInputs
from gqn_probe.analysis.inputs.features import Features
from gqn_probe.analysis.inputs.view_selection import nested, sum_views
from gqn_probe.analysis.protocols.count_probe import CountProbe
from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.data import encode_cameras
from gqn_probe.data.stimuli.counter_rng import scene_keys
from gqn_probe.data.stimuli.scene_renderer import draw_factors
from gqn_probe.model import GQN, Generator, Tower
from gqn_probe.types import Scenes

CONF = Path(__file__).parents[2] / "conf"
VIEWS, COUNTS = 16, tuple(range(2, 16))
CHUNK = 4096  # scenes planted at a time


@dataclass(frozen=True)
class PlantedInputs(StudyInputs):
    """A study whose features of every view are a file that is there."""

    planted: Path = Path()
    width: int = 0

    def features(self, readouts: Sequence[str], scenes: object = None) -> Features:
        rows = torch.from_file(
            str(self.planted), shared=True, size=len(self.scenes) * VIEWS * self.width, dtype=torch.float32
        )
        return Features(dict.fromkeys(readouts, rows.view(len(self.scenes), VIEWS, self.width)))


def plant(objects: int, width: int, folder: Path) -> PlantedInputs:
    generator = Generator(
        steps=2, representation_channels=width, pooled=False, size=16, hidden_channels=4, canvas_channels=4,
        latent_channels=2, kernel=3, shared=True, canvas_input=False, core="project", deviation="softplus",
        output="linear", normalise=True,
    )  # fmt: skip
    gqn = GQN(encoder=Tower(width=4, channels=width, pooled=False), generator=generator, aggregation="sum").eval()
    factors = draw_factors(scene_keys(torch.arange(objects), seed=0, stream="benchmark"), (5,), None)
    cameras = torch.randn(objects, VIEWS, 5)
    scenes = Scenes(torch.zeros(objects, VIEWS, 3, 1, 1, dtype=torch.uint8), cameras, factors)
    found = PlantedInputs(gqn, scenes, encode_cameras, "planted", folder, 15, planted=folder / "views", width=width)
    with found.planted.open("wb") as file:
        file.truncate(4 * objects * VIEWS * width)
    of_objects = torch.cat([factors.positions.flatten(1), factors.colors.flatten(1)], dim=1)
    layer, of_cameras = torch.randn(of_objects.shape[1], width), torch.randn(5, width)
    phi = found.features(("pooled",))["pooled"]
    for part in torch.arange(objects).split(CHUNK):
        noise = 0.5 * torch.randn(len(part), VIEWS, width)
        phi[part] = ((of_objects[part] @ layer)[:, None] + cameras[part] @ of_cameras + noise).relu()
    return found


class Watch:
    """The peak of this process' own memory, bytes, in the background."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line]
            self.peak = max(self.peak, int(line.split()[1]) << 10)
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=32, help="numbers of r; 32 are those of the bundled network")
    parser.add_argument("--whole", action="store_true", help="all controls, seeds and targets, not one of each probe")
    parser.add_argument("overrides", nargs="*", default=[])
    options = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = instantiate(compose("probe", overrides=["probe.inputs=[pooled]", *options.overrides]).probe)
    began, stages, watch = time.perf_counter(), {}, Watch()

    def done(stage: str, start: float) -> None:
        stages[stage] = time.process_time() - start
        print(f"{stage}: {stages[stage]:.0f} s of CPU, peak so far {watch.peak / 1e9:.2f} GB", flush=True)

    with tempfile.TemporaryDirectory() as place:
        start, folder = time.process_time(), Path(place)
        inputs = plant(options.objects, options.width, folder)
        phi = inputs.features(("pooled",))["pooled"]
        representations = torch.empty(options.objects, len(COUNTS), options.width)
        for column, count in enumerate(COUNTS):
            representations[:, column] = sum_views(phi, nested(options.objects, VIEWS, count, 0))
        rows = ProbeInputs(inputs, COUNTS, settings, folder / "rows", representations)
        done("planting and summing views", start)
        start = time.process_time()
        notes: list[str] = []
        targets = list(TargetDecoder(rows, settings).rows(notes))
        done(f"decoding {', '.join(settings.targets)} ({len(targets)} results)", start)
        dataset = rows.dataset("pooled", "none", 0)
        for name, probe in settings.kept.items():
            start = time.process_time()
            (result,) = probe.evaluate([dataset], torch.tensor(COUNTS).float(), "cpu")
            right = (result.test.predicted == result.test.labels).float().mean()
            done(f"{name} on {len(dataset.split.train)} training rows (right: {right:.1%})", start)
        if options.whole:
            start = time.process_time()
            outcome = CountProbe(rows, settings).outcome()
            done(f"the study with it ({len(outcome.results)} results)", start)
        print("\n".join(notes))
    mapped = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{options.objects} objects, {len(COUNTS)} counts, {options.width} numbers: {sum(stages.values()):.0f} s of "
        f"CPU ({time.perf_counter() - began:.0f} s), own memory at most {watch.peak / 1e9:.2f} GB, {mapped:.2f} GB "
        "with pages of mapped files"
    )


if __name__ == "__main__":
    main()

"""How much memory a study of many objects takes: ``python tests/benchmarks/probe_memory.py [--objects 10000]``.

A small encoder of as many channels as are asked for looks at small random images, so that nearly all there is to
measure is the study: default controls, probes, counts and seeds, but one epoch, since memory does not grow with
training. Prints the peak of resident memory; pages of mapped files, which the system takes back when it needs to,
are in it.
"""

import argparse
import logging
import resource
import tempfile
import warnings
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from gqn_probe.analysis import StudyInputs, run_count, run_study
from gqn_probe.data import encode_cameras
from gqn_probe.model import GQN, Generator, Tower
from gqn_probe.types import Scenes

CONF = Path(__file__).parents[2] / "conf"


def network(channels: int) -> GQN:
    generator = Generator(
        steps=2, representation_channels=channels, pooled=False, size=16, hidden_channels=4, canvas_channels=4,
        latent_channels=2, kernel=3, shared=True, canvas_input=False, core="project", deviation="softplus",
        output="linear", normalise=True,
    )  # fmt: skip
    return GQN(encoder=Tower(width=4, channels=channels, pooled=False), generator=generator, aggregation="sum").eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10000)
    parser.add_argument("--channels", type=int, default=64, help="of the representation")
    options = parser.parse_args()
    torch.set_num_threads(2)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    epochs = [f"probe.probes.{name}.epochs=1" for name in ("linear", "mlp")]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = instantiate(compose("probe", overrides=[*epochs, "probe.reconstruct=8"]).probe)
    frames = torch.randint(0, 255, (options.objects, 16, 3, 16, 16), dtype=torch.uint8)
    scenes = Scenes(frames, torch.randn(options.objects, 16, 5))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        study_inputs = StudyInputs(
            network(options.channels), scenes, encode_cameras, "noise", home / "cache", usable_views=15
        )
        jobs = [run_count(study_inputs, count, settings, home / f"count-{count}") for count in range(2, 16)]
        run_study(study_inputs, settings, jobs, home / "study")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{options.objects} objects, {options.channels} channels: peak {peak:.2f} GiB")


if __name__ == "__main__":
    main()

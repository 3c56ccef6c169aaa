"""What training waits for its data: ``python tests/benchmarks/loader_speed.py [--device cuda --model paper]``.

Prints the share of a training step that the DataLoader takes, and the share that rendering a batch online takes
instead. A step is forward, backward and Adam on 8 context views and a query of each scene, at the default settings of
``train.py``, or with others such as ``data=deepmind data.root=FOLDER``. Loading and stepping take turns; a share is the
ratio of the medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from gqn_probe.data import SceneDataModule
from gqn_probe.model.gaussian import gaussian_nll
from gqn_probe.types import Batch, to_unit

CONF = Path(__file__).parents[2] / "conf"
CONTEXT = 8


def seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="points")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("overrides", nargs="*", default=["data.train=640", "data.val=64", "data.test=64"])
    arguments = parser.parse_args()
    device = arguments.device
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as cache, initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"model={arguments.model}", f"data.cache={cache}", *arguments.overrides])
        stored: SceneDataModule = instantiate(config.data, _convert_="all")
        stored.setup()
        online: SceneDataModule = instantiate(compose("train", ["data.online=true"]).data, _convert_="all")
        gqn = instantiate(config.model, _convert_="all").to(device)
        adam = torch.optim.Adam(gqn.parameters(), lr=1e-6)

        def batches() -> Callable[[], Batch]:
            loaders = (iter(stored.train_dataloader()) for _ in range(10**6))
            flat = (batch for loader in loaders for batch in loader)
            return lambda: next(flat)

        load = batches()

        def render() -> Batch:
            ids = torch.randint(10**6, (config.data.batch_size,), device=device)
            empty = torch.empty(len(ids), 0, 3, 1, 1, dtype=torch.uint8, device=device)
            return online.on_after_batch_transfer(Batch(empty, torch.empty(len(ids), 0, 7, device=device), ids), 0)

        def step(batch: Batch) -> None:
            frames, cameras = to_unit(batch.frames), batch.cameras
            out = gqn(frames[:, :CONTEXT], cameras[:, :CONTEXT], frames[:, CONTEXT], cameras[:, CONTEXT])
            adam.zero_grad()
            (gaussian_nll(out.mean, frames[:, CONTEXT], 1.0) + out.kl).mean().backward()
            adam.step()

        batch = Batch(*(part.to(device) for part in load()))
        step(batch)
        render()
        times = [
            (seconds(load, device), seconds(render, device), seconds(lambda: step(batch), device))
            for _ in range(arguments.rounds)
        ]
        loading, rendering, stepping = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| one step of model={arguments.model} on {device} | {1e3 * stepping:.1f} ms |")
        print(f"| loading a batch of {len(batch.frames)} | {1e3 * loading:.2f} ms | {loading / stepping:.1%} |")
        print(f"| rendering it online | {1e3 * rendering:.2f} ms | {rendering / stepping:.1%} |")


if __name__ == "__main__":
    main()

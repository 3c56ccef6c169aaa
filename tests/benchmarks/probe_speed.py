"""How much faster probes train side by side: ``python tests/benchmarks/probe_speed.py [--alone 6] [--rounds 3]``.

The grid of the default study's linear probe: datasets x seeds x L2 strengths on r of 300 objects at 14 counts, fitted
at once and, by the same module, one after another. The second is timed on a few probes, drawn evenly, and scaled
to all; the two take turns, and a ratio is the median of the rounds'. CPU seconds of one thread are counted, which
other programs hardly change; the worst difference of probabilities is over the probes that were fitted both ways, at a
tenth of the study's learning rate, where rounding does not grow from step to step.
"""

import argparse
import logging
import statistics
import time
import warnings

import torch

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.linear import Softmax
from gqn_probe.analysis.probes.probe_fit import FittedProbes, fit_probes
from gqn_probe.analysis.questions.splits import Split, approximate_train_rows, rows_of, split_groups

OBJECTS, COUNTS, SEEDS = 300, 14, 5
LINEAR = Softmax(epochs=100, batch_size=256, learning_rate=0.3, l2=(1e-5, 1e-3, 1e-2, 1e-1), principal=True)


def grid(datasets: int, width: int) -> list[ProbeDataset]:
    """Sums of random non-negative views, one draw a dataset."""
    labels = torch.arange(COUNTS).repeat(OBJECTS)
    datasets = []
    for dataset in range(datasets):
        generator = torch.Generator().manual_seed(dataset)
        views = torch.rand(OBJECTS, COUNTS + 1, width, generator=generator)
        r = views.cumsum(dim=1)[:, 1:].reshape(-1, width)
        for seed in range(SEEDS):
            parts = (rows_of(part, COUNTS) for part in split_groups(torch.arange(OBJECTS), seed)[:2])
            split = Split(*parts, test=labels[:0])
            owners = torch.arange(OBJECTS).repeat_interleave(COUNTS)
            datasets.append(ProbeDataset("count", "r", "none", seed, r, labels, owners, split, r))
    return datasets


def timed(datasets: list[ProbeDataset], strengths: torch.Tensor | None = None) -> tuple[float, FittedProbes]:
    start = time.process_time()
    fitted = fit_probes(datasets, LINEAR, classes=COUNTS, rows=approximate_train_rows(OBJECTS * COUNTS), l2=strengths)
    return time.process_time() - start, fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=15, help="inputs and controls")
    parser.add_argument("--width", type=int, default=64, help="features of r")
    parser.add_argument("--alone", type=int, default=6, help="probes fitted one after another, a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    datasets = grid(options.datasets, options.width)
    probes = len(datasets) * len(LINEAR.l2)
    chosen = [probes * i // options.alone for i in range(options.alone)]
    ratios, worst = [], 0.0
    for _ in range(options.rounds):
        together, fitted = timed(datasets)
        alone = 0.0
        for dataset, strength in (divmod(probe, len(LINEAR.l2)) for probe in chosen):
            seconds, single = timed([datasets[dataset]], torch.tensor([[LINEAR.l2[strength]]]))
            alone += seconds / options.alone * probes
            both = (
                f.logits(i, m, datasets[dataset].features) for f, i, m in ((fitted, dataset, strength), (single, 0, 0))
            )
            worst = max(worst, float(torch.sub(*(logits.softmax(dim=1) for logits in both)).abs().max()))
        ratios.append(alone / together)
        print(
            f"{probes} probes: together {together:.1f} s, one after another {alone:.0f} s, {ratios[-1]:.1f}x",
            flush=True,
        )
    print(f"median {statistics.median(ratios):.1f}x; probabilities differ by at most {worst:.1e}")


if __name__ == "__main__":
    main()

"""How much faster the GQN is than its plain step-by-step form: ``python tests/benchmarks/model_speed.py [--quick]``.

Prints a markdown table. Plain and ours take turns, so that whatever else the machine does meets both; a ratio is the
median over rounds of the times of one round. The baseline is the plain form in fp32 throughout. A training step is
forward, backward and Adam: fused for ours, torch's default for the plain form, as public ports have it. With
``--threads 1`` CPU seconds are counted, which other programs hardly change. On a GPU the batch is 36, TF32 is off,
and ours is compiled into CUDA graphs.
"""

# pyright: reportReturnType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from plain_gqn import PlainGQN
from plain_points import PlainPoints

from gqn_probe.model import GQN
from gqn_probe.model.gaussian import gaussian_nll

CONF = Path(__file__).parents[2] / "conf"
VIEWS, SIZE, SIGMA = 7, 64, 0.7


class Row(NamedTuple):
    """One comparison: what is timed, against what, and the ratios asked for in fp32 and bf16."""

    name: str
    baseline: Callable[[], object]
    ours: dict[torch.dtype, Callable[[], object]]
    targets: tuple[float, float] | None


def preset(name: str, **changes: Any) -> GQN:
    """The model of a YAML preset, with changes to its generator."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        model = compose("train", [f"model={name}"]).model
    model.generator.update(changes)
    return instantiate(model, _convert_="all")


def scenes(batch: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shapes = (batch, VIEWS, 3, SIZE, SIZE), (batch, VIEWS, 7), (batch, 3, SIZE, SIZE), (batch, 7)
    return tuple(torch.rand(shape, device=device) for shape in shapes)


def training_steps(model: nn.Module, device: str, *dtypes: torch.dtype) -> dict[torch.dtype, Callable[[], object]]:
    """For each precision: forward, backward and Adam on one fixed batch."""
    data = scenes(36 if device == "cuda" else 4, device)
    model, ours = model.to(device), isinstance(model, GQN)
    adam = torch.optim.Adam(model.parameters(), lr=1e-6, fused=ours or None)

    def step_in(dtype: torch.dtype) -> Callable[[], object]:
        def loss() -> Tensor:
            with torch.autocast(device, dtype, enabled=dtype != torch.float32):
                output = model(*data)
            mean, kl = (output.mean, output.kl) if ours else output[:2]
            return (gaussian_nll(mean, data[2], SIGMA) + kl).mean()

        forward = torch.compile(loss, mode="reduce-overhead") if ours and device == "cuda" else loss

        def step() -> None:
            adam.zero_grad()
            forward().backward()
            adam.step()

        return step

    return {dtype: step_in(dtype) for dtype in dtypes}


def training_row(name: str, ours: GQN, plain: PlainGQN, targets: tuple[float, float] | None, device: str) -> Row:
    baseline = training_steps(plain, device, torch.float32)[torch.float32]
    return Row(name, baseline, training_steps(ours, device, torch.float32, torch.bfloat16), targets)


def points_row(size: int, targets: tuple[float, float] | None, device: str) -> Row:
    """A step of ``model=points`` as plain ``train.py`` takes it: 12 scenes, 5 context views, 6 queries of each."""
    gqn, plain = preset("points").to(device), preset("points").to(device)
    plain.encoder = PlainPoints(**plain.encoder.arguments).to(device)
    frames, cameras = torch.rand(12, 5, 3, size, size, device=device), torch.randn(12, 5, 7, device=device)
    targets_of = torch.rand(72, 3, size, size, device=device), torch.randn(72, 7, device=device)

    def step_of(model: GQN, dtype: torch.dtype) -> Callable[[], object]:
        adam = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=model is gqn or None)

        def step() -> None:
            with torch.autocast(device, dtype, enabled=dtype != torch.float32):
                representation = model.aggregate(model.encode(frames, cameras))
                output = model.predict(representation, *targets_of)
                loss = (gaussian_nll(output.mean, targets_of[0], 1.0) + output.kl).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

        return step

    ours = {dtype: step_of(gqn, dtype) for dtype in (torch.float32, torch.bfloat16)}
    return Row(f"training step, points, {size}x{size}", step_of(plain, torch.float32), ours, targets)


def study_rows(device: str) -> list[Row]:
    """Representations of one scene for k = 2..15: every set encoded apart, or the whole model run, against one pass."""
    gqn = preset("released").to(device).eval()
    plain = PlainGQN(gqn.settings()).to(device)
    frames, cameras = torch.rand(1, 15, 3, SIZE, SIZE, device=device), torch.randn(1, 15, 7, device=device)
    masks = (torch.arange(15, device=device) < torch.arange(2, 16, device=device)[:, None]).to(device)

    def once(dtype: torch.dtype) -> Callable[[], object]:
        def run() -> Tensor:
            with torch.no_grad(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
                phi = gqn.encode(frames, cameras)
                return gqn.aggregate(phi.expand(len(masks), -1, -1, -1, -1), masks)

        return run

    @torch.no_grad()
    def apart() -> None:
        for k in range(2, 16):
            gqn.aggregate(gqn.encode(frames[:, :k], cameras[:, :k]))

    @torch.no_grad()
    def whole() -> None:
        for k in range(2, 16):
            plain(frames[:, :k], cameras[:, :k], frames[:, 0], cameras[:, 0])

    ours = {dtype: once(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return [
        Row("k = 2..15: each context set encoded apart", apart, ours, (7.8, 7.8)),
        Row("k = 2..15: the whole model run for each count", whole, ours, (45, 90)),
    ]


def rows(device: str, quick: bool) -> list[Callable[[], list[Row]]]:
    """Made one after the other, for the paper's model takes gigabytes."""

    def paper(targets: tuple[float, float] | None, **changes: Any) -> Callable[[], list[Row]]:
        def make() -> list[Row]:
            gqn = preset("paper", **changes)
            cores = "shared cores" if changes["shared"] else "own cores (nothing to hoist)"
            name = f"training step, paper, {cores}, L = {changes['steps']}"
            return [training_row(name, gqn, PlainGQN(gqn.settings()), targets, device)]

        return make

    def against_released(name: str, targets: tuple[float, float]) -> Callable[[], list[Row]]:
        def make() -> list[Row]:
            gqn, plain = preset(name), PlainGQN(preset("released").settings())
            return [training_row(f"training step, {name}, against released", gqn, plain, targets, device)]

        return make

    made = [
        paper((2.8, 4.6), steps=8, shared=True),
        paper((3.3, 5.3), steps=12, shared=True),
        paper(None, steps=4, shared=False),
        against_released("released", (1.1, 2.1)),
        lambda: [points_row(32, (2.0, 2.0), device), points_row(64, (2.0, 2.0), device)],
        lambda: study_rows(device),
    ]
    return [made[0], made[-1]] if quick else made


def timed(function: Callable[[], object], device: str) -> float:
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def measure(row: Row, rounds: int, device: str) -> str:
    """One line of the table."""
    functions = {"plain": row.baseline, **row.ours}
    for function in functions.values():
        timed(function, device)
    turns = [{name: timed(function, device) for name, function in functions.items()} for _ in range(rounds)]
    cells = [row.name, f"{statistics.median(turn['plain'] for turn in turns):.2f} s"]
    for dtype, target in zip(row.ours, row.targets or (None, None), strict=True):
        seconds = statistics.median(turn[dtype] for turn in turns)
        ratio = statistics.median(turn["plain"] / turn[dtype] for turn in turns)
        asked = f" (asked: {target})" if target else ""
        cells.append(f"{seconds:.2f} s: **{ratio:.1f}x**{asked}")
    return f"| {' | '.join(cells)} |"


def gpu_report(rounds: int) -> str:
    """Steps a second, FLOP/s with its share of the measured matrix peak, and memory, of the paper's training step."""
    from torch.utils.flop_counter import FlopCounterMode

    gqn = preset("paper", shared=True).to("cuda")
    with FlopCounterMode(display=False) as counter:
        output = gqn(*scenes(36, "cuda"))
        (output.mean.sum() + output.kl.sum()).backward()
    del output
    torch.cuda.reset_peak_memory_stats()
    step = training_steps(gqn, "cuda", torch.bfloat16)[torch.bfloat16]
    for _ in range(3):
        timed(step, "cuda")
    seconds = statistics.median(timed(step, "cuda") for _ in range(rounds))
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    timed(lambda: matrix @ matrix, "cuda")
    peak = 2 * 8192**3 / statistics.median(timed(lambda: matrix @ matrix, "cuda") for _ in range(10))
    achieved = counter.get_total_flops() / seconds
    memory = torch.cuda.max_memory_allocated() / 2**30
    return (
        f"{torch.cuda.get_device_name()}: {1 / seconds:.1f} steps/s, {achieved / 1e12:.0f} TFLOP/s, "
        f"{achieved / peak:.0%} of the matrix peak ({peak / 1e12:.0f} TFLOP/s), {memory:.1f} GiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two comparisons instead of all")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each takes (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print("| | plain, fp32 | ours, fp32 | ours, bf16 |\n|---|---|---|---|")
    for make in rows(device, arguments.quick):
        for row in make():
            print(measure(row, arguments.rounds, device), flush=True)
    if device == "cuda":
        print(gpu_report(arguments.rounds))


if __name__ == "__main__":
    main()

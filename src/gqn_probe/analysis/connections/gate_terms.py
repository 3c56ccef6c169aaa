"""Shares of the variance of the generator's gates: each gate is a sum of terms, one per input.

A gate's pre-activation is affine in r, camera, image, latent, canvas and hidden states. The term of an input is the
core's output with all other inputs zero, less its bias. A term's share is its covariance with the whole gate over the
gate's variance: shares add up to one, and that of a term which opposes the others is below zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple, cast

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, Task, sum_views
from gqn_probe.analysis.statistics.intervals import ClusterSums, mean_interval
from gqn_probe.model import GQN
from gqn_probe.model.conditioning import SCALE, Conditioning
from gqn_probe.model.conv_lstm import Core, State
from gqn_probe.model.released import ReleasedCore
from gqn_probe.progress import progress
from gqn_probe.results import Result
from gqn_probe.types import to_unit

GATES = ("forget", "input", "output", "candidate")
CORES = ("generation", "inference")
BATCH = 16  # scenes at a time
SHARE = "variance_share"

Terms = dict[str, Float[Tensor, "b gates y x"]]  # by input


class Call(NamedTuple):
    """The inputs of a core at a step."""

    core: Core | ReleasedCore
    latent: Tensor | None
    others: list[Tensor]
    state: State | None


def gate_terms(call: Call, given: Conditioning) -> Terms:
    """Return the terms of a core's gates by input, which sum to the gates; ``bias`` is the term of no input."""
    core, parts = call.core, {"r": "representation", "camera": "cameras", "image": "frames"}
    there = {name: value for name in parts.values() if (value := getattr(given, name)) is not None}
    nothing = given._replace(**{name: torch.zeros_like(value) for name, value in there.items()})
    bias = core.constant(nothing)
    terms = {"bias": bias}
    for name, of in parts.items():
        if of in there:
            terms[name] = core.constant(nothing._replace(**{of: there[of]})) - bias
    still = torch.zeros_like(bias)
    if call.latent is not None:
        terms["latent"] = core.pre_activations(still, call.latent, [], None)
    if call.state is not None:
        latent = None if call.latent is None else torch.zeros_like(call.latent)
        states = [*call.others, call.state.hidden]
        names = ("generator's state", "canvas")[: len(call.others)]
        for place, name in enumerate((*names, "hidden state")):
            alone = [part if i == place else torch.zeros_like(part) for i, part in enumerate(states)]
            state = State(alone[-1], call.state.cell)
            terms[name] = core.pre_activations(still, latent, alone[:-1], state)
    return terms


@torch.no_grad()
def trace_terms(
    gqn: GQN,
    representation: Float[Tensor, "b d ry rx"],
    cameras: Float[Tensor, "b p"],
    frames: Float[Tensor, "b c h w"],
) -> dict[str, list[Terms]]:
    """Return the terms of both cores at every step.

    Those of the generation core are of a prediction, with latents drawn from the prior; those of the inference core of
    a reconstruction, which sees the query.
    """
    generator, grid = gqn.generator, (frames.shape[-2] // SCALE, frames.shape[-1] // SCALE)
    seen = gqn.encoder.query_features(representation, cameras, grid)
    r = generator.norm(seen)
    calls: dict[str, list[Call]] = {name: [] for name in CORES}

    def keep(name: str) -> object:
        def hook(core: nn.Module, given: tuple[object, ...]) -> None:
            _, latent, others, state = cast("tuple[Tensor, Tensor | None, list[Tensor], State | None]", given)
            calls[name].append(Call(cast("Core | ReleasedCore", core), latent, [*others], state))

        return hook

    cores = {"generation": generator.generation_cores, "inference": generator.inference_cores}
    for name, shown in (("generation", None), ("inference", frames)):
        with ExitStack() as hooks:
            for core in cores[name]:
                hooks.callback(core.register_forward_pre_hook(keep(name)).remove)  # type: ignore[arg-type]
            generator(seen, cameras, shown, grid=grid)
    given = {"generation": Conditioning(r, cameras, None, grid), "inference": Conditioning(r, cameras, frames, grid)}
    return {name: [gate_terms(call, given[name]) for call in calls[name]] for name in CORES}


class Shares:
    """Sums over scenes for the shares of variance: means in a first pass, products in a second."""

    def __init__(self, scenes: int) -> None:
        self.scenes = scenes
        self.means: dict[tuple[str, int, str], Tensor] = {}
        self.products: dict[tuple[str, int, str], Float[Tensor, "s gate"]] = {}

    def add_means(self, traced: Mapping[str, Sequence[Terms]]) -> None:
        for core, steps in traced.items():
            for step, terms in enumerate(steps):
                for name, term in terms.items():
                    key = (core, step, name)
                    self.means[key] = self.means.get(key, torch.zeros(())) + term.double().sum(dim=0) / self.scenes

    def add_products(self, traced: Mapping[str, Sequence[Terms]], rows: Int[Tensor, " b"]) -> None:
        for core, steps in traced.items():
            for step, terms in enumerate(steps):
                apart = {name: term.double() - self.means[core, step, name] for name, term in terms.items()}
                whole = torch.stack([*apart.values()]).sum(dim=0)
                for name, term in (*apart.items(), ("all", whole)):
                    products = rearrange(term * whole, "b (g c) y x -> b g (c y x)", g=len(GATES)).sum(dim=-1)
                    # one array for all scenes: many small ones would keep freed memory from the system
                    empty = (self.scenes, len(GATES))
                    self.products.setdefault((core, step, name), products.new_zeros(empty, device="cpu"))[rows] = (
                        products.cpu()
                    )

    def rows(self, count: int) -> Iterator[Result]:
        """Yield the share of each input in each gate's variance over scenes, positions and channels."""
        for (core, step, name), own in self.products.items():
            if name in ("all", "bias"):
                continue
            whole = self.products[core, step, "all"]
            for gate, sums, total in zip(GATES, own.unbind(1), whole.unbind(1), strict=True):
                if float(total.sum()) > 0:
                    found = mean_interval(ClusterSums(sums, total))
                    case = (gate, name, f"step {step + 1}", core)
                    yield Result.pooled(case, SHARE, found, n=len(sums), count=count, split="")


@torch.no_grad()
def gate_rows(study_inputs: StudyInputs, task: Task, *, count: int, scenes: int, seed: int) -> Iterator[Result]:
    """Yield gates' variance shares while each of the first ``scenes`` queries is predicted from its context."""
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    maps = study_inputs.features(("representation",))["representation"]
    number = min(scenes, len(study_inputs.scenes))
    shares = Shares(number)
    with progress(f"gates of {count}", 2 * number, "scenes") as advance:
        for second in (False, True):
            for part in torch.arange(number).split(BATCH):
                some, query = study_inputs.scenes[part], (torch.arange(len(part)), task.query[part])
                frames = to_unit(some.frames[query]).to(device)
                cameras = study_inputs.encode_cameras(some.cameras[query]).to(device)
                context = Selection(task.context.scenes[part], task.context.views[part])
                r = sum_views(maps, context, aggregation=gqn.aggregation).to(device)
                with torch.random.fork_rng(devices=[] if device == "cpu" else [torch.device(device)]):
                    draw = np.random.SeedSequence([seed, count, int(part[0])]).generate_state(1)[0]
                    torch.manual_seed(int(draw))  # the same latents in both passes
                    traced = trace_terms(gqn, r, cameras, frames)
                if second:
                    shares.add_products(traced, part)
                else:
                    shares.add_means(traced)
                advance(len(part))
    yield from shares.rows(count)

"""Read-out points of a context: sums of per-view features, set statistics of the views, states of the generator.

A read-out point is a name. Per-view ones are in ``readouts.py``, those of the generator here.
"""

from collections.abc import Sequence

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.inputs.feature_file import FeatureFile, Network
from gqn_probe.analysis.inputs.readouts import UNLEARNED, readout_names
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, Task, sum_views
from gqn_probe.choices import check_names
from gqn_probe.model import Trace
from gqn_probe.types import to_unit

BATCH = 16  # scenes traced at a time
REPRESENTATION = "representation"  # the same numbers as ``whole``, under the name that count jobs cache them by
READER = "reader."
STATES = ("hidden", "canvas", "prior_mean", "prior_std", "posterior_mean", "posterior_std")


def input_names(network: Network) -> list[str]:
    """Return the names of all read-out points of a network."""
    return [*readout_names(network), "views", *generator_names(network)]


def generator_names(network: Network) -> list[str]:
    """Return the read-out points of the generator, which need a query view; each is averaged over positions.

    ``reader.NAME`` are the layers between r and the generator, ``STATE.L`` its states after step L = 1, 2, ...; ``kl``
    is the divergence at each step in nats.
    """
    if isinstance(network, FeatureFile):
        return []
    reader = [f"{READER}{name}" for name in network.encoder.reader_layers]
    steps = range(1, network.generator.steps + 1)
    return reader + [f"{state}.{step}" for state in STATES for step in steps] + ["kl"]


def is_sum(network: Network, name: str) -> bool:
    """Return True if the read-out of a context is the sum of its views' read-outs."""
    summed = network.aggregation == "sum" or name in UNLEARNED
    return summed and name != "views" and name not in generator_names(network)


def check_inputs(network: Network, names: Sequence[str]) -> None:
    """Raise ValueError if a read-out point is unknown; the message lists the known ones."""
    check_names("read-out", names, input_names(network))


def context_rows(study_inputs: StudyInputs, name: str, selection: Selection) -> Float[Tensor, "s f"]:
    """Return one row a scene of a read-out that needs no generator."""
    if name == "views":
        return _set_of_views(study_inputs.features(("pooled",))["pooled"], selection)
    return sum_views(
        view_features(study_inputs, name), selection, aggregation=aggregation_of(study_inputs.network, name)
    )


def view_features(study_inputs: StudyInputs, name: str) -> Float[Tensor, "s v f"]:
    """Return a read-out of every view, flattened; memory-mapped."""
    stored = REPRESENTATION if name == "whole" else name
    return study_inputs.features((stored,))[stored].flatten(start_dim=2)


def aggregation_of(network: Network, name: str) -> str:
    """Return "sum" or "mean": the network's own aggregation; pixels and cameras are always summed."""
    return "sum" if name in UNLEARNED else network.aggregation


def _set_of_views(phi: Float[Tensor, "s v d"], selection: Selection) -> Float[Tensor, "s f"]:
    """Return mean, standard deviation, minimum and maximum of every feature over views: invariant to their order."""
    views = phi[selection.scenes, selection.views]
    deviation = views.std(dim=1, correction=0)
    return torch.cat([views.mean(dim=1), deviation, views.amin(dim=1), views.amax(dim=1)], dim=1)


@torch.no_grad()
def generator_rows(study_inputs: StudyInputs, names: Sequence[str], task: Task) -> dict[str, Float[Tensor, "s f"]]:
    """Return one row a scene of each generator read-out, from one deterministic pass (latents at posterior means)."""
    gqn, scenes, device = study_inputs.gqn.to(study_inputs.device), study_inputs.scenes, study_inputs.device
    maps = study_inputs.features(("representation",))["representation"]
    rows: dict[str, list[Tensor]] = {name: [] for name in names}
    for part in torch.arange(len(scenes)).split(BATCH):
        context = Selection(task.context.scenes[part], task.context.views[part])
        representation = sum_views(maps, context, aggregation=gqn.aggregation).to(device)
        frames = to_unit(scenes[part].frames[torch.arange(len(part)), task.query[part]]).to(device)
        cameras = study_inputs.encode_cameras(scenes.cameras[part, task.query[part]]).to(device)
        trace = gqn.trace(representation, frames, cameras)
        for name in names:
            rows[name].append(_trace_readout(trace, name).float().cpu())
    return {name: torch.cat(parts) for name, parts in rows.items()}


def _trace_readout(trace: Trace, name: str) -> Float[Tensor, "b f"]:
    if name == "kl":
        return trace.kl
    if name.startswith(READER):
        return reduce(trace.reader[name.removeprefix(READER)], "b f y x -> b f", "mean")
    state, step = name.split(".")
    return reduce(getattr(trace, state)[:, int(step) - 1], "b f y x -> b f", "mean")

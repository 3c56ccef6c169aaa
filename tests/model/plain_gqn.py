"""The GQN step by step, as public ports write it: what ours must equal, and what its speed is measured against.

A pass of the encoder a view; four convolutions a cell; everything a core reads concatenated at every step, camera and
representation spread anew each time; the canvas kept at the image's size; distribution objects for the KL.
"""

# pyright: reportArgumentType=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

GATES = ("forget", "input", "output", "state")


class PlainTower(nn.Module):
    def __init__(self, width: int, channels: int, pooled: bool, **_: Any) -> None:
        super().__init__()
        self.pooled = pooled
        self.conv1 = nn.Conv2d(3, width, 2, stride=2)
        self.conv2 = nn.Conv2d(width, width, 2, stride=2)
        self.conv3 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv4 = nn.Conv2d(width // 2, width, 2, stride=2)
        self.conv5 = nn.Conv2d(width + 7, width, 3, padding=1)
        self.conv6 = nn.Conv2d(width + 7, width // 2, 3, padding=1)
        self.conv7 = nn.Conv2d(width // 2, width, 3, padding=1)
        self.conv8 = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        skip_in = F.relu(self.conv1(x))
        skip_out = F.relu(self.conv2(skip_in))
        x = F.relu(self.conv4(F.relu(self.conv3(skip_in)))) + skip_out
        joined = torch.cat([x, v[:, :, None, None].repeat(1, 1, *x.shape[2:])], dim=1)
        skip_out = F.relu(self.conv5(joined))
        x = F.relu(self.conv7(F.relu(self.conv6(joined)))) + skip_out
        r = F.relu(self.conv8(x))
        return F.avg_pool2d(r, r.shape[2:]) if self.pooled else r


class PlainPyramid(nn.Module):
    pooled = True

    def __init__(self, channels: int, size: int, **_: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 + 7, channels // 8, 2, stride=2)
        self.conv2 = nn.Conv2d(channels // 8, channels // 4, 2, stride=2)
        self.conv3 = nn.Conv2d(channels // 4, channels // 2, 2, stride=2)
        self.conv4 = nn.Conv2d(channels // 2, channels, size // 8, stride=size // 8)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        x = torch.cat([x, v[:, :, None, None].repeat(1, 1, *x.shape[2:])], dim=1)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(layer(x))
        return x


class PlainCell(nn.Module):
    """Four gates of the joined inputs and the hidden state, or of ``inputs + transform(hidden)`` as released."""

    def __init__(self, inputs: int, hidden: int, kernel: int, transform: bool) -> None:
        super().__init__()
        same = {"kernel_size": kernel, "padding": kernel // 2}
        self.transform = nn.Conv2d(hidden, inputs, **same) if transform else None
        for gate in GATES:
            setattr(self, gate, nn.Conv2d(inputs + (0 if transform else hidden), hidden, **same))

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = torch.cat([x, hidden], dim=1) if self.transform is None else x + self.transform(hidden)
        gates = [getattr(self, gate)(x) for gate in GATES]
        if added is not None:
            gates = [gate + more for gate, more in zip(gates, added.chunk(4, dim=1), strict=True)]
        cell = torch.sigmoid(gates[0]) * cell + torch.sigmoid(gates[1]) * torch.tanh(gates[3])
        return torch.sigmoid(gates[2]) * torch.tanh(cell), cell


class PlainCore(nn.Module):
    """A cell with what it needs to bring camera, representation and image to its grid."""

    def __init__(self, moving: int, image: int, settings: dict[str, Any]) -> None:
        super().__init__()
        self.kind, d, h = settings["core"], settings["representation_channels"], settings["hidden_channels"]
        grid = settings["size"] // 4
        constants = 0 if self.kind == "project" else image + 7 + d
        self.cell = PlainCell(constants + moving, h, settings["kernel"], transform=self.kind == "released")
        if self.kind == "project":
            self.representation = nn.Conv2d(d, 4 * h, 1, bias=False)
            self.camera = nn.Linear(7, 4 * h, bias=False)
            self.image = nn.Conv2d(image, 4 * h, 4, stride=4, bias=False) if image else None
        else:
            self.image = nn.Conv2d(image, image, 4, stride=4, bias=False) if image else None
        if self.kind == "spread":
            self.camera = nn.ConvTranspose2d(7, 7, grid, stride=grid, bias=False)
            pooled = settings["pooled"]
            self.representation = nn.ConvTranspose2d(d, d, grid, stride=grid, bias=False) if pooled else nn.Identity()

    def forward(
        self, x: Tensor | None, v: Tensor, r: Tensor, moving: list[Tensor], hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        grid, v = hidden.shape[2:], v[:, :, None, None]
        image = [] if x is None or self.image is None else [self.image(x)]
        if self.kind == "project":
            added = self.representation(r) + self.camera(v[:, :, 0, 0])[:, :, None, None] + sum(image)
            return self.cell(torch.cat(moving, dim=1), hidden, cell, added.expand(-1, -1, *grid))
        if self.kind == "spread":
            v, r = self.camera(v), self.representation(r)
        else:
            v, r = v.repeat(1, 1, *grid), r.repeat(1, 1, *grid) if r.shape[2:] != grid else r
        constants = [*image, v, r]
        # The released cell's input begins with what moves; the other's ends with it, before the hidden state.
        inputs = [*moving, *constants] if self.kind == "released" else [*constants, *moving]
        return self.cell(torch.cat(inputs, dim=1), hidden, cell)


class PlainGQN(nn.Module):
    """Made from the settings of ours; ``forward`` gives (mean, kl a scene, representation)."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        encoder = PlainTower if settings["encoder"]["class"] == "Tower" else PlainPyramid
        self.encoder = encoder(**settings["encoder"])
        self.aggregation = settings["aggregation"]
        self.settings = own = settings["generator"]
        h, u, z, k = (own[n] for n in ("hidden_channels", "canvas_channels", "latent_channels", "kernel"))
        distinct = 1 if own["shared"] else own["steps"]
        seen = h + (u if own["canvas_input"] else 0)
        self.inference = nn.ModuleList(PlainCore(seen, 3, own) for _ in range(distinct))
        self.generation = nn.ModuleList(PlainCore(z, 0, own) for _ in range(distinct))
        self.prior = nn.Conv2d(h, 2 * z, k, padding=k // 2)
        self.posterior = nn.Conv2d(h, 2 * z, k, padding=k // 2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(h, u, 4, stride=4, bias=False) for _ in range(distinct))
        if own["canvas_input"]:
            self.down = nn.ModuleList(nn.Conv2d(u, u, 4, stride=4, bias=False) for _ in range(distinct))
        self.observe = nn.Conv2d(u, 3, 1)
        self.norm = nn.GroupNorm(1, own["representation_channels"]) if own["normalise"] else nn.Identity()

    def represent(self, frames: Tensor, cameras: Tensor) -> Tensor:
        r: Any = 0
        for view in range(frames.shape[1]):
            r = r + self.encoder(frames[:, view], cameras[:, view])
        return r / frames.shape[1] if self.aggregation == "mean" else r

    def gaussian(self, head: nn.Module, hidden: Tensor) -> Normal:
        mean, raw = torch.chunk(head(hidden), 2, dim=1)
        return Normal(mean, F.softplus(raw) if self.settings["deviation"] == "softplus" else torch.exp(0.5 * raw))

    def forward(
        self, frames: Tensor, cameras: Tensor, x: Tensor | None, v: Tensor, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        own, representation = self.settings, self.represent(frames, cameras)
        b, (height, width) = len(frames), frames.shape[3:]
        zeros = frames.new_zeros(b, own["hidden_channels"], height // 4, width // 4)
        h_g = c_g = h_e = c_e = zeros
        u = frames.new_zeros(b, own["canvas_channels"], height, width)
        kl: Any = 0
        for step in range(own["steps"]):
            core = 0 if own["shared"] else step
            pi = self.gaussian(self.prior, h_g)
            r = self.norm(representation)
            drawn = pi
            if x is not None:
                moving = [h_g, self.down[core](u)] if own["canvas_input"] else [h_g]
                h_e, c_e = self.inference[core](x, v, r, moving, h_e, c_e)
                drawn = self.gaussian(self.posterior, h_e)
                kl = kl + kl_divergence(drawn, pi)
            z = drawn.mean if deterministic else drawn.mean + drawn.stddev * torch.randn_like(drawn.mean)
            h_g, c_g = self.generation[core](None, v, r, [z], h_g, c_g)
            u = u + self.up[core](h_g)
        mean = self.observe(u)
        if own["output"] == "sigmoid":
            mean = torch.sigmoid(mean)
        return mean, kl.sum(dim=(1, 2, 3)) if x is not None else kl, representation


def to_ours(plain: dict[str, Tensor], settings: dict[str, Any]) -> dict[str, Tensor]:
    """Parameters, or their gradients, of a PlainGQN under the names of ours."""
    own = settings["generator"]
    ours = {name: value for name, value in plain.items() if name.startswith("encoder.")}
    for theirs, name in (("prior", "prior.moments"), ("posterior", "posterior.moments"), ("norm", "norm")):
        ours |= {
            f"generator.{name}.{k}": plain[f"{theirs}.{k}"] for k in ("weight", "bias") if f"{theirs}.{k}" in plain
        }
    ours |= {f"generator.canvas.observe.{k}": plain[f"observe.{k}"] for k in ("weight", "bias")}
    ours |= {f"generator.canvas.{n.removesuffix('.weight')}": v for n, v in plain.items() if n.startswith("up.")}
    downs = [v for n, v in plain.items() if n.startswith("down.")]
    downs = downs if own["shared"] else downs[1:]  # the first step sees an empty canvas
    ours |= {f"generator.canvas.down.{i}": value for i, value in enumerate(downs)}
    for kind in ("inference", "generation"):
        for core in range(1 if own["shared"] else own["steps"]):
            parts = {n.removeprefix(f"{kind}.{core}."): v for n, v in plain.items() if n.startswith(f"{kind}.{core}.")}
            for name, value in _core_to_ours(parts, own, first=core == 0 and not own["shared"], kind=kind).items():
                ours[f"generator.{kind}_cores.{core}.{name}"] = value
    return ours


def _core_to_ours(parts: dict[str, Tensor], own: dict[str, Any], first: bool, kind: str) -> dict[str, Tensor]:
    weight, bias = (torch.cat([parts[f"cell.{gate}.{k}"] for gate in GATES]) for k in ("weight", "bias"))
    others = {n: v for n, v in parts.items() if not n.startswith("cell.")}
    if own["core"] == "released":
        transform = {f"transform.{k}": parts[f"cell.transform.{k}"] for k in ("weight", "bias")}
        return others | transform | {"gates.weight": weight, "gates.bias": bias}
    constants = 0
    ours = {f"injection.{name}": value for name, value in others.items()}
    if own["core"] == "project":
        ours["injection.representation.bias"] = bias
    else:
        constants = 7 + own["representation_channels"] + (3 if kind == "inference" else 0)
        ours |= {"injection.gates.weight": weight[:, :constants], "injection.gates.bias": bias}
    moving = weight[:, constants:]
    if kind == "generation":
        ours["latent.weight"], moving = moving.split([own["latent_channels"], own["hidden_channels"]], dim=1)
    return ours if first else ours | {"recurrent.weight": moving}

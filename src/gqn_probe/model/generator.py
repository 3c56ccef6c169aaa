"""The generator with its prior and posterior: a convolutional DRAW conditioned on a scene and a camera.

Eslami et al. 2018, supplement, algorithms S1 to S3 and figure S2; Gregor et al. 2016, "Towards conceptual
compression".
"""

from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.choices import check_choice
from gqn_probe.model.canvas import Canvas
from gqn_probe.model.conditioning import Given
from gqn_probe.model.configured import Configured
from gqn_probe.model.conv_lstm import CORES, CoreSizes, GatedCore
from gqn_probe.model.gaussian import Gaussian, GaussianHead

Cores = list[GatedCore]
CHOICES = {
    "core": CORES,
    "deviation": ("exp", "softplus"),
    "output": ("linear", "sigmoid"),
}


class Unrolled(NamedTuple):
    """States of the generator, an entry a step; no posteriors where z came from the prior."""

    image: Float[Tensor, "b c h w"]
    hidden: list[Float[Tensor, "b hidden y x"]]
    priors: list[Gaussian]
    posteriors: list[Gaussian]
    latents: list[Float[Tensor, "b z y x"]]


class Generator(Configured):
    """Draws an image in L steps, at a quarter of its height and width.

    Args:
        steps: L.
        representation_channels, pooled: of the encoder; pooled has one position, else the generator's grid.
        size: height and width of the images; only ``core="spread"`` is bound to it.
        hidden_channels, canvas_channels, latent_channels: of h and c, of u, and of z (a step).
        kernel: height and width of the convolutions in cores and heads.
        shared: one core for all steps, or one each.
        canvas_input: the inference core sees the canvas, down-sampled.
        core: how representation, camera and image reach the gates: "spread", "repeat" or "project" (see
            conditioning.py), "released" (see released.py), or another that ``@core`` registers (conv_lstm.py).
        deviation: of prior and posterior: "exp" or "softplus" (gaussian.py).
        output: "linear" (the paper's) or "sigmoid".
        normalise: normalise the representation where the generator reads it.
    """

    def __init__(  # noqa: PLR0913  (each argument is a setting of the configuration)
        self,
        *,
        steps: int,
        representation_channels: int,
        pooled: bool,
        size: int,
        hidden_channels: int,
        canvas_channels: int,
        latent_channels: int,
        kernel: int,
        shared: bool,
        canvas_input: bool,
        core: str,
        deviation: str,
        output: str,
        normalise: bool,
        image_channels: int = 3,
        camera_channels: int = 7,
    ) -> None:
        super().__init__()
        for name, value in (("core", core), ("deviation", deviation), ("output", output)):
            check_choice(f"generator {name}", value, CHOICES[name])
        if kernel % 2 == 0:
            raise ValueError(f"generator kernel={kernel} has no middle: use an odd number")
        self.steps, self.shared, self.pooled, self.size = steps, shared, pooled, size
        self.camera_channels = camera_channels

        def make_core(*, latent: int, others: int, image: int, first: bool) -> GatedCore:
            sizes = {"representation": representation_channels, "camera": camera_channels, "image": image}
            sizes |= {"hidden": hidden_channels, "kernel": kernel, "latent": latent, "others": others, "size": size}
            return CORES[core](CoreSizes(pooled=pooled, first=first, **sizes))

        # A core of its own for the first step never meets a state that is not zero.
        firsts = [not shared and step == 0 for step in range(1 if shared else steps)]
        seen = hidden_channels + (canvas_channels if canvas_input else 0)
        self.inference_cores = nn.ModuleList(
            make_core(latent=0, others=seen, image=image_channels, first=first) for first in firsts
        )
        self.generation_cores = nn.ModuleList(
            make_core(latent=latent_channels, others=0, image=0, first=first) for first in firsts
        )
        self.fixed_size = cast(GatedCore, self.generation_cores[0]).fixed_size
        heads = {"hidden": hidden_channels, "latent": latent_channels, "kernel": kernel}
        self.prior = GaussianHead(**heads, deviation=deviation)
        self.posterior = GaussianHead(**heads, deviation=deviation)
        self.canvas = Canvas(
            hidden=hidden_channels,
            canvas=canvas_channels,
            image=image_channels,
            steps=len(firsts),
            looks=(1 if shared else steps - 1) if canvas_input else 0,
            output=output,
        )
        self.norm = nn.GroupNorm(1, representation_channels) if normalise else nn.Identity()

    def forward(
        self,
        representation: Float[Tensor, "b d ry rx"],
        cameras: Float[Tensor, "b p"],
        frames: Float[Tensor, "b c h w"] | None = None,
        *,
        grid: tuple[int, int],
        deterministic: bool = False,
        samples: int = 1,
    ) -> Unrolled:
        """Draw the view of ``cameras``: z from the posterior, which sees its ``frames``, or else the prior.

        ``grid`` is a quarter of the image's height and width; ``deterministic`` takes the mean for every z. Of each
        view ``samples`` are drawn, one after another: what they share is worked out once.
        """
        # The paper's letters: r representation, pi prior, q posterior, z latent, u canvas; _g of the generation
        # core, _e of the inference core. States and canvas start at zero, which is None here.
        r = self.norm(representation)
        cores_g, cores_e = (cast(Cores, list(cores)) for cores in (self.generation_cores, self.inference_cores))
        fixed_g = [core.constant(Given(r, cameras, None, grid)) for core in cores_g]
        fixed_e = [core.constant(Given(r, cameras, frames, grid)) for core in cores_e if frames is not None]
        if samples > 1:
            fixed_g, fixed_e = (
                [each.repeat_interleave(samples, dim=0) for each in fixed] for fixed in (fixed_g, fixed_e)
            )
        views = self.canvas.views(self.steps) if frames is not None else []
        state_g = state_e = u = None
        hidden, priors, posteriors, latents = [], [], [], []
        for step, core in enumerate([0] * self.steps if self.shared else range(self.steps)):
            seen = [] if state_g is None else [state_g.hidden]
            priors.append(self.prior(*seen) if seen else self.prior.of_zeros(len(cameras) * samples, grid))
            if frames is not None:
                if views and u is not None:
                    seen.append(torch.einsum("oi,biyx->boyx", views[step - 1], u))
                state_e = cores_e[core](fixed_e[core], None, seen, state_e)
                posteriors.append(self.posterior(state_e.hidden))
            z = (posteriors or priors)[-1].sample(deterministic=deterministic)
            state_g = cores_g[core](fixed_g[core], z, [], state_g)
            u = self.canvas.gather(u, state_g.hidden)
            hidden.append(state_g.hidden)
            latents.append(z)
        assert u is not None
        return Unrolled(self.canvas.image(u), hidden, priors, posteriors, latents)

"""Convolutional DRAW generator with prior and posterior, conditioned on a scene representation and a query camera.

For each step l = 1 ... L, from h_g = c_g = h_e = c_e = u = 0:

    pi_l = N(z | eta_pi(h_g))                                         prior
    h_e, c_e = LSTM_e(h_e, c_e; h_g, u, x_q, v_q, r)                  inference core
    q_l = N(z | eta_q(h_e))                                           posterior
    z_l ~ q_l (reconstruction) or pi_l (prediction)
    h_g, c_g = LSTM_g(h_g, c_g; z_l, v_q, r)                          generation core
    u = u + up(h_g)                                                   canvas

and the mean of the image is eta_g(u). Eslami et al. 2018, supplement, algorithms S1 to S3 and figure S2; Gregor et al.
2016, "Towards conceptual compression".
"""

from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.choices import check_choice
from gqn_probe.model.canvas import Canvas
from gqn_probe.model.conditioning import Conditioning
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
    """Image and states of the generator, one list entry for each step; no posteriors if z is drawn from the prior."""

    image: Float[Tensor, "b c h w"]
    hidden: list[Float[Tensor, "b hidden y x"]]
    priors: list[Gaussian]
    posteriors: list[Gaussian]
    latents: list[Float[Tensor, "b z y x"]]


class Generator(Configured):
    """Recurrent latent-variable generator of L steps, whose states have a quarter of the image's height and width.

    Args:
        steps: L, the number of generator steps (12 in the paper).
        representation_channels: channels of r.
        pooled: r has one position; otherwise the generator's grid.
        size: height and width of the images; only ``core="spread"`` is bound to it.
        hidden_channels: channels of h and c.
        canvas_channels: channels of u.
        latent_channels: channels of z at each step.
        kernel: height and width of the convolutions in cores and heads.
        shared: use one core for all steps instead of one for each.
        canvas_input: feed the down-sampled canvas to the inference core.
        core: how r, camera and image enter the gates: "spread", "repeat" or "project" (conditioning.py), "released"
            (released.py), or another one registered with ``@core`` (conv_lstm.py).
        deviation: parametrisation of the standard deviation, "exp" or "softplus" (gaussian.py).
        output: activation of the image, "linear" (the paper) or "sigmoid".
        normalise: apply group normalisation to r.
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

        # Without sharing, the first step's core only ever sees zero states.
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
            downsamplings=(1 if shared else steps - 1) if canvas_input else 0,
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
        """Generate the view of each camera.

        Args:
            frames: the true views in 0..1, from which the posterior infers z; without them z is drawn from the prior.
            grid: height and width of the states, a quarter of the image's.
            deterministic: use the mean of each distribution in place of a draw.
            samples: number of images of each view, which follow each other; their common inputs are computed once.
        """
        # Letters as in the equations above. States and canvas start at zero, which is None here.
        r = self.norm(representation)
        cores_g, cores_e = (cast(Cores, list(cores)) for cores in (self.generation_cores, self.inference_cores))
        fixed_g = [core.constant(Conditioning(r, cameras, None, grid)) for core in cores_g]
        fixed_e = [core.constant(Conditioning(r, cameras, frames, grid)) for core in cores_e if frames is not None]
        if samples > 1:
            fixed_g, fixed_e = (
                [each.repeat_interleave(samples, dim=0) for each in fixed] for fixed in (fixed_g, fixed_e)
            )
        matrices = self.canvas.downsampling_matrices(self.steps) if frames is not None else []
        state_g = state_e = u = None
        hidden, priors, posteriors, latents = [], [], [], []
        for step, core in enumerate([0] * self.steps if self.shared else range(self.steps)):
            seen = [] if state_g is None else [state_g.hidden]
            priors.append(self.prior(*seen) if seen else self.prior.of_zeros(len(cameras) * samples, grid))
            if frames is not None:
                if matrices and u is not None:
                    seen.append(torch.einsum("oi,biyx->boyx", matrices[step - 1], u))
                state_e = cores_e[core](fixed_e[core], None, seen, state_e)
                posteriors.append(self.posterior(state_e.hidden))
            z = (posteriors or priors)[-1].sample(deterministic=deterministic)
            state_g = cores_g[core](fixed_g[core], z, [], state_g)
            u = self.canvas.accumulate(u, state_g.hidden)
            hidden.append(state_g.hidden)
            latents.append(z)
        assert u is not None
        return Unrolled(self.canvas.image(u), hidden, priors, posteriors, latents)

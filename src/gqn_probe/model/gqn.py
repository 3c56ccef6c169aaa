"""The Generative Query Network: scene encoder, aggregation over views, generator.

    r = sum_i f(x_i, v_i)                           scene representation of context frames x_i with cameras v_i
    x_q ~ g(x | v_q, r)                             prediction for the query camera v_q, with latents z_1 ... z_L
    ELBO = E_q[log p(x_q | z, v_q, r)] - sum_l KL(q_l || pi_l)

Eslami et al. 2018, "Neural scene representation and rendering", Science 360, 1204-1210; equations in its supplement.
"""

import math
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gqn_probe.model.conditioning import SCALE
from gqn_probe.model.configured import Configured, build
from gqn_probe.model.encoders import Encoder
from gqn_probe.model.gaussian import Gaussian, gaussian_nll, kl_divergence
from gqn_probe.model.generator import Generator, Unrolled
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.types import to_unit


class GQNOutput(NamedTuple):
    """Reconstruction with latents from the posterior, and its KL terms."""

    mean: Float[Tensor, "b c h w"]  # of the pixels, in 0..1 with a sigmoid output, near it otherwise
    representation: Float[Tensor, "b d y x"]
    kl: Float[Tensor, " b"]  # nats a scene
    kl_steps: Float[Tensor, "b l"]  # nats a scene and generator step


class Trace(NamedTuple):
    """States of the generator at every step, each latent set to the mean of its posterior."""

    hidden: Float[Tensor, "b l hidden y x"]
    canvas: Float[Tensor, "b l u H W"]
    prior_mean: Float[Tensor, "b l z y x"]
    prior_std: Float[Tensor, "b l z y x"]
    posterior_mean: Float[Tensor, "b l z y x"]
    posterior_std: Float[Tensor, "b l z y x"]
    kl: Float[Tensor, "b l"]  # nats
    reader: dict[str, Float[Tensor, "b width _ _"]]  # see ``Encoder.reader_features``


class GQN(Configured):
    """Generative Query Network: representations of views, summed or averaged, condition a generator.

    Args:
        encoder: maps a frame and its camera to a representation.
        generator: maps a scene representation and a query camera to an image.
        aggregation: over views, "sum" (the paper) or "mean".
    """

    input_spec = InputSpec()  # set by ``adapt`` and by loading weights; not part of the architecture

    def __init__(self, *, encoder: Encoder, generator: Generator, aggregation: str) -> None:
        super().__init__()
        if aggregation not in ("sum", "mean"):
            raise ValueError(f"aggregation={aggregation!r} is neither 'sum' nor 'mean'")
        if encoder.pooled != generator.pooled:
            raise ValueError(
                f"encoder has pooled={encoder.pooled}, generator pooled={generator.pooled}: make them equal"
            )
        self.encoder, self.generator, self.aggregation = encoder, generator, aggregation

    @classmethod
    def from_settings(cls, settings: Any) -> "GQN":
        """Return a newly initialised model from what ``settings()`` returned.

        Raises:
            ValueError: the settings are not those of a GQN.
        """
        gqn = build(settings)
        if not isinstance(gqn, GQN):
            raise ValueError(f"model settings describe a {type(gqn).__name__}, not a GQN")
        return gqn

    def adapt(self, data: InputSpec) -> None:
        """Adapt the network to the data of its training: store their specification, set the encoder's constants."""
        self.input_spec = data
        self.encoder.adapt(data)

    def check(self, data: InputSpec) -> None:
        """Raise ValueError if data differ from those of training in a way that the network cannot notice itself."""
        self.input_spec.check(data, sizes=not self.encoder.any_size)

    @property
    def bound_size(self) -> int | None:
        """Height and width of the only frames that the network can be trained on; None if any size is possible.

        With a pooled representation, which has no grid, it is the size that the generator was made for.
        """
        generator = self.generator
        return self.encoder.fixed_size or (generator.size if generator.pooled else generator.fixed_size)

    def encode(
        self, frames: Float[Tensor, "b v c h w"] | UInt8[Tensor, "b v c h w"], cameras: Float[Tensor, "b v p"]
    ) -> Float[Tensor, "b v d y x"]:
        """Return the representation of every view.

        Its positions ``y x`` are those of an image (tower), a single one (pool, pyramid), or S points in space, as
        ``S 1`` (points). All entries are non-negative.

        Args:
            frames: in 0..1, or bytes.
            cameras: encoded, see ``gqn_probe.data.encode_cameras``.

        Raises:
            ValueError: sizes do not fit, or frames are clearly not in 0..1.
        """
        if frames.dtype == torch.uint8:
            frames = to_unit(frames)
        elif not self.training and frames.numel() and (frames.amin() < -1 or frames.amax() > 2):
            raise ValueError(
                f"frames lie in {frames.amin():.3g}..{frames.amax():.3g}, expected 0..1: divide bytes by 255"
            )
        self._check(frames.shape[-2:], cameras)
        if frames.shape[:2] != cameras.shape[:2]:
            raise ValueError(
                f"frames of {tuple(frames.shape[:2])} scenes and views, cameras of {tuple(cameras.shape[:2])}"
            )
        phi = self.encoder(rearrange(frames, "b v c h w -> (b v) c h w"), rearrange(cameras, "b v p -> (b v) p"))
        return rearrange(phi, "(b v) d y x -> b v d y x", b=len(frames))

    def aggregate(
        self, phi: Float[Tensor, "b v d y x"], mask: Bool[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b d y x"]:
        """Return scene representations: the sum or mean over views, or over those where ``mask`` is true."""
        if mask is not None:
            phi = phi.masked_fill(~mask[:, :, None, None, None], 0)
        total = phi.sum(dim=1, dtype=torch.promote_types(phi.dtype, torch.float32))
        if self.aggregation == "sum":
            return total
        views = torch.full_like(total[:, :1, :1, :1], phi.shape[1]) if mask is None else mask.sum(dim=1)
        return total / views.reshape(-1, 1, 1, 1).clamp(min=1)

    def predict(
        self,
        representation: Float[Tensor, "b d y x"],
        query_frames: Float[Tensor, "n c h w"],
        query_cameras: Float[Tensor, "n p"],
        deterministic: bool = False,
    ) -> GQNOutput:
        """Reconstruct query views with latents from the posterior, which sees them.

        Of n queries of b scenes, each n / b consecutive ones belong to one scene.
        """
        drawn = self._draw(representation, query_cameras, query_frames, _size(query_frames), deterministic)
        kl_steps = _kl_steps(_stack(drawn.posteriors), _stack(drawn.priors))
        return GQNOutput(mean=drawn.image, representation=representation, kl=kl_steps.sum(dim=1), kl_steps=kl_steps)

    def forward(
        self,
        context_frames: Float[Tensor, "b v c h w"],
        context_cameras: Float[Tensor, "b v p"],
        query_frames: Float[Tensor, "b c h w"],
        query_cameras: Float[Tensor, "b p"],
        deterministic: bool = False,
    ) -> GQNOutput:
        """Encode the context and reconstruct one query view of each scene, with latents from the posterior."""
        representation = self.aggregate(self.encode(context_frames, context_cameras))
        return self.predict(representation, query_frames, query_cameras, deterministic)

    def sample_from(
        self,
        representation: Float[Tensor, "b d y x"],
        query_cameras: Float[Tensor, "n p"],
        deterministic: bool = False,
        size: tuple[int, int] | None = None,
        samples: int = 1,
    ) -> Float[Tensor, "image c h w"]:
        """Predict query views with latents from the prior; of n queries of b scenes, n / b consecutive ones a scene.

        Args:
            size: height and width of the images; by default those of the encoded frames where the representation has
                a grid, else those of training.
            samples: number of images of each query, which follow each other.
        """
        size = size or self.encoder.image_size(representation) or self.input_spec.size
        size = size or (self.generator.size, self.generator.size)
        return self._draw(representation, query_cameras, None, size, deterministic, samples).image

    def log_likelihood(
        self,
        representation: Float[Tensor, "b d y x"],
        query_frames: Float[Tensor, "n c h w"],
        query_cameras: Float[Tensor, "n p"],
        *,
        sigma: float,
        samples: int,
    ) -> Float[Tensor, " n"]:
        """Return an importance-weighted lower bound of each query image's log-density, in nats.

            log p(x) >= E[log mean_s p(x | z_s) p(z_s) / q(z_s | x)],   z_s ~ q

        Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", equation 8. The bound rises with the
        number of samples; one sample estimates the ELBO. ``sigma`` is the standard deviation of pixels on 0..1.
        """
        size = _size(query_frames)
        drawn = self._draw(representation, query_cameras, query_frames, size, deterministic=False, samples=samples)
        weights = -gaussian_nll(drawn.image, query_frames.repeat_interleave(samples, dim=0), sigma)
        for z, prior, posterior in zip(drawn.latents, drawn.priors, drawn.posteriors, strict=True):
            weights = weights + (prior.log_prob(z) - posterior.log_prob(z)).sum(dim=(1, 2, 3))
        return rearrange(weights, "(n s) -> n s", s=samples).logsumexp(dim=1) - math.log(samples)

    def sample(
        self,
        context_frames: Float[Tensor, "b v c h w"],
        context_cameras: Float[Tensor, "b v p"],
        query_cameras: Float[Tensor, "b p"],
        deterministic: bool = False,
    ) -> Float[Tensor, "b c h w"]:
        """Encode the context and predict one query view of each scene, with latents from the prior."""
        representation = self.aggregate(self.encode(context_frames, context_cameras))
        height, width = context_frames.shape[-2:]
        return self.sample_from(representation, query_cameras, deterministic, size=(height, width))

    def trace(
        self,
        representation: Float[Tensor, "b d y x"],
        query_frames: Float[Tensor, "n c h w"],
        query_cameras: Float[Tensor, "n p"],
    ) -> Trace:
        """Return states, canvas, prior and posterior of the generator at every step, without randomness."""
        drawn = self._draw(representation, query_cameras, query_frames, _size(query_frames), deterministic=True)
        prior, posterior = _stack(drawn.priors), _stack(drawn.posteriors)
        hidden = torch.stack(drawn.hidden, dim=1)
        canvas = self.generator.canvas.canvases(hidden)
        reader = self.encoder.reader_features(representation, query_cameras, _grid(_size(query_frames)))
        return Trace(hidden, canvas, *prior, *posterior, kl=_kl_steps(posterior, prior), reader=reader)

    def _draw(
        self,
        representation: Float[Tensor, "b d y x"],
        cameras: Float[Tensor, "n p"],
        frames: Float[Tensor, "n c h w"] | None,
        size: tuple[int, int],
        deterministic: bool,
        samples: int = 1,
    ) -> Unrolled:
        self._check(size, cameras)
        if not len(representation) or len(cameras) % len(representation):
            raise ValueError(
                f"{len(cameras)} query cameras cannot be shared evenly by {len(representation)} scenes: "
                "give as many for each, one scene's after another's"
            )
        grid = _grid(size)
        seen = self.encoder.query_features(representation, cameras, grid)
        return self.generator(seen, cameras, frames, grid=grid, deterministic=deterministic, samples=samples)

    def _check(self, size: tuple[int, ...], cameras: Float[Tensor, "... p"]) -> None:
        expected = self.generator.camera_channels
        if cameras.shape[-1] != expected:
            raise ValueError(f"expected {expected} camera values, got {cameras.shape[-1]}: encode raw cameras first")
        if any(pixels % SCALE for pixels in size):
            raise ValueError(f"image height and width must be divisible by {SCALE}, got {tuple(size)}")
        for part in (self.encoder, self.generator):
            made_for = part.fixed_size
            if made_for is not None and tuple(size) != (made_for, made_for):
                name = type(part).__name__.lower()
                raise ValueError(f"the {name} was made for {made_for}x{made_for} images, got {tuple(size)}")


def _size(frames: Float[Tensor, "n c h w"]) -> tuple[int, int]:
    return frames.shape[-2], frames.shape[-1]


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // SCALE, size[1] // SCALE


def _stack(steps: list[Gaussian]) -> Gaussian:
    return Gaussian(*(torch.stack(moment, dim=1) for moment in zip(*steps, strict=True)))


def _kl_steps(posterior: Gaussian, prior: Gaussian) -> Float[Tensor, "b l"]:
    """Return KL(posterior || prior) of each step in nats, summed over positions and latent channels."""
    return kl_divergence(posterior, prior).sum(dim=(2, 3, 4))

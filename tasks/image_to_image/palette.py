"""Palette (Saharia et al., 2022) as an in-painter: a diffusion model that is told the visible part and the noise level.

The network is diffusers' ``UNet2DModel`` with the shapes of the public re-implementation (guided diffusion's U-Net), whose
checkpoint ``convert_palette`` brings into this form.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, first_line
from .checkpoints import read_config
from .inpainter import Inpainter, PixelFilling

if TYPE_CHECKING:
    from diffusers import UNet2DModel

STEPS = 2000
TRAINING_BETAS, SAMPLING_BETAS = (1e-6, 0.01), (1e-4, 0.09)
"""Linear schedules of the released configuration: it samples with more noise than it trains with."""
HEAD_WIDTH = 32


class Palette(Inpainter, PixelFilling):
    """Predicts the noise in the hole. The hole of the condition holds noise of its own, as in the released code.

    Args:
        network: Six channels in (condition, noisy image), three out; its "time step" is the share of the signal's
            variance, between 0 and 1.
    """

    sampling: ClassVar[str] = "DDIM without noise"
    """Song et al., 2021."""
    sampling_steps: ClassVar[int] = 50

    def __init__(self, network: UNet2DModel) -> None:
        super().__init__()
        self.network = network

    @property
    def encoder(self) -> nn.Module:
        """See ``Inpainter.encoder``: all up to the middle, but for the noise level's embedding, which the decoder shares."""
        return nn.ModuleList([self.network.conv_in, self.network.down_blocks, self.network.mid_block])

    def forward(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """See ``Inpainter.forward``: the noise that was mixed into the images."""
        predicted: Tensor = self.network(self._seen(visible, hole, draw), draw["level"]).sample
        return predicted

    def encode(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """See ``Inpainter.encode``: the outputs of the first convolution, every block on the way down, and the middle.

        They are flattened and scaled to ``(B, N)`` such that the mean squared error of two embeddings is the mean over
        layers of each layer's own. The released code takes the sum over layers, which is the number of layers times that.
        """
        network = self.network
        level = network.time_embedding(network.time_proj(draw["level"]))
        hidden = network.conv_in(self._seen(visible, hole, draw))
        layers = [hidden]
        for block in network.down_blocks:
            hidden, outputs = block(hidden_states=hidden, temb=level)
            layers += outputs
        layers.append(network.mid_block(hidden, level))
        flat = [layer.flatten(1) for layer in layers]
        total = sum(layer.shape[1] for layer in flat)
        return torch.cat([layer * math.sqrt(total / (len(flat) * layer.shape[1])) for layer in flat], 1)

    @staticmethod
    def draw(images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``Filling.draw``: noise, the condition's, and the signal's share, uniform between two steps of the schedule."""
        shares = signal_shares(*TRAINING_BETAS)
        step = torch.randint(1, STEPS, (len(images),), generator=generator)
        between = torch.rand(len(images), generator=generator)
        return {
            "noise": torch.randn(images.shape, generator=generator),
            "filler": torch.randn(images.shape, generator=generator),
            "level": torch.lerp(shares[step - 1], shares[step], between.double()).float(),
        }

    @staticmethod
    def inputs(images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See ``Filling.inputs``: the images under noise, the condition's noise and the signal's share."""
        share = draw["level"].view(-1, 1, 1, 1)
        noisy = share.sqrt() * images + (1 - share).sqrt() * draw["noise"]
        return {"noisy": noisy, "filler": draw["filler"], "level": draw["level"]}

    @staticmethod
    def target(images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """See ``PixelFilling.target``: the noise."""
        return draw["noise"]

    @classmethod
    def fill(cls, model: nn.Module, visible: Tensor, hole: Tensor, seed: int) -> Tensor:
        """See ``Filling.fill``."""
        shares = signal_shares(*SAMPLING_BETAS)
        places = torch.linspace(STEPS - 1, 0, cls.sampling_steps).round().long().tolist()
        generator = torch.Generator().manual_seed(seed)
        filler, image = (torch.randn(visible.shape, generator=generator).to(visible.device) for _ in range(2))
        for place, following in zip(places, [*places[1:], None], strict=True):
            now = float(shares[place])
            after = 1.0 if following is None else float(shares[following])
            level = torch.full((len(visible),), now, device=visible.device)
            noise = model(visible, hole, noisy=image, filler=filler, level=level)
            clean = ((image - math.sqrt(1 - now) * noise) / math.sqrt(now)).clamp(-1, 1)
            image = cls.step(image, clean, noise, now, after, generator)
        return torch.where(hole, image.clamp(-1, 1), visible)

    @staticmethod
    def step(
        image: Tensor, clean: Tensor, noise: Tensor, now: float, after: float, generator: torch.Generator
    ) -> Tensor:
        """Returns the image at the next, smaller noise level.

        Args:
            image: At this level.
            clean: What the network takes the clean image for, in [-1, 1].
            noise: What it takes the noise for.
            now: The signal's share at this level.
            after: At the next; 1 at the end.
            generator: Of what noise the sampler adds.
        """
        return math.sqrt(after) * clean + math.sqrt(1 - after) * noise

    @staticmethod
    def _seen(visible: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([torch.where(hole, draw[part], visible) for part in ("filler", "noisy")], 1)


class AncestralPalette(Palette):
    """Samples with all steps of the released code, each with fresh noise (Ho et al., 2020)."""

    sampling: ClassVar[str] = "ancestral sampling"
    sampling_steps: ClassVar[int] = STEPS

    @staticmethod
    def step(
        image: Tensor, clean: Tensor, noise: Tensor, now: float, after: float, generator: torch.Generator
    ) -> Tensor:
        """See ``Palette.step``: a draw from the posterior."""
        kept = now / after
        mean = math.sqrt(after) * (1 - kept) / (1 - now) * clean + math.sqrt(kept) * (1 - after) / (1 - now) * image
        fresh = torch.randn(image.shape, generator=generator).to(image.device)
        return mean + math.sqrt((1 - kept) * (1 - after) / (1 - now)) * fresh


@functools.cache
def signal_shares(first: float, last: float) -> Tensor:
    """Returns the share of the signal's variance after each step of a linear schedule, ``(2000,)``."""
    return (1 - torch.linspace(first, last, STEPS, dtype=torch.float64)).cumprod(0)


def unet(
    size: int, width: int = 64, multiples: tuple[int, ...] = (1, 2, 4, 8), layers: int = 2, head_width: int = HEAD_WIDTH
) -> UNet2DModel:
    """Returns a freshly initialized network; the defaults are those of the public checkpoint (62.6 M parameters).

    Args:
        size: Height and width of the pictures, in pixels.
        width: Channels at full resolution.
        multiples: Channels at each resolution, in widths.
        layers: Residual blocks at each resolution.
        head_width: Of the attention in the middle.
    """
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=size,
        in_channels=6,
        out_channels=3,
        block_out_channels=tuple(width * multiple for multiple in multiples),
        layers_per_block=layers,
        down_block_types=("ResnetDownsampleBlock2D",) * len(multiples),
        up_block_types=("ResnetUpsampleBlock2D",) * len(multiples),
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=head_width,
        attn_norm_num_groups=32,
    )


def load_palette(folder: Path, size: int, kind: type[Palette], way_out: str) -> Palette:
    """Returns an in-painter from a checkpoint in diffusers' layout, in evaluation mode.

    Raises:
        BenchmarkError: The folder holds another network, or one of another size.
    """
    from diffusers import UNet2DModel

    config: dict[str, Any] = read_config(folder, "", "UNet2DModel", way_out)
    found = tuple(config.get(key) for key in ("in_channels", "out_channels", "sample_size"))
    if found != (6, 3, size):
        raise BenchmarkError(
            f"The network in {folder} has {found[0]} channels in, {found[1]} out and pictures of {found[2]} pixels, and "
            f"in-painting needs 6, 3 and {size}; {way_out}."
        )
    try:
        network = UNet2DModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
    # diffusers and safetensors raise kinds of their own for files that are damaged or do not fit.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The weights in {folder} cannot be loaded ({first_line(error)[:160]}); {way_out}."
        ) from None
    return kind(network).eval()

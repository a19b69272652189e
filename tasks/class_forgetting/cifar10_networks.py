"""The networks of ``cifar10-ddpm`` and how they are trained: one of the papers' size, a smaller one, one for a CPU."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from ..data.sets import CIFAR10
from ..training.recipe import TrainingRecipe


class Preset(NamedTuple):
    """A network's width and its training."""

    channels: tuple[int, ...]
    """Of each level; the second one has attention with a single head: 16 pixels wide, or 8 where patches are two wide."""
    blocks: int
    """Residual blocks of a level on the way down; one more on the way up."""
    recipe: TrainingRecipe
    ema_decay: float
    groups: int = 32
    """Of the group normalization; they divide the channels."""
    patch: int = 1
    """The side of the squares of pixels that the network takes as one, their values side by side."""
    dropout: float = 0.1


PRESETS = {
    "tiny": Preset(
        (48, 72),
        1,
        # A million images: two hours of a CPU core.
        TrainingRecipe(steps=8000, batch_size=128, lr=1e-3),
        ema_decay=0.999,
        groups=8,
        patch=2,
        dropout=0.0,
    ),
    "small": Preset((64, 128, 128, 128), 2, TrainingRecipe(steps=100_000, batch_size=128, lr=4e-4), ema_decay=0.9995),
    # Selective Amnesia, SalUn and SFRon train for 800,000 steps at this rate, theirs constant.
    "paper": Preset((128, 256, 256, 256), 2, TrainingRecipe(steps=800_000, batch_size=128, lr=2e-4), ema_decay=0.9999),
}


def unet(preset: Preset) -> nn.Module:
    """Returns a freshly initialized U-Net: Ho et al.'s (2020) for CIFAR-10, with classes and one label for none.

    Time and class scale and shift the normalized features of each block. The papers' code adds a projection of both side by
    side instead; the number of weights is nearly the same, 38.3 M against their 38.6 M.

    Where patches are wider than a pixel, the first layer sees the ``patch x patch`` values of each channel as channels at a
    lower resolution, and the last one gives them back.
    """
    from diffusers import UNet2DModel

    levels, patch = len(preset.channels), preset.patch
    down, up = ["DownBlock2D"] * levels, ["UpBlock2D"] * levels
    down[1], up[-2] = "AttnDownBlock2D", "AttnUpBlock2D"
    network = UNet2DModel(
        sample_size=CIFAR10.size // patch,
        in_channels=3 * patch**2,
        out_channels=3 * patch**2,
        block_out_channels=preset.channels,
        layers_per_block=preset.blocks,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        attention_head_dim=preset.channels[1],
        norm_num_groups=preset.groups,
        norm_eps=1e-6,
        dropout=preset.dropout,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        resnet_time_scale_shift="scale_shift",
        num_class_embeds=len(CIFAR10.classes) + 1,
    )
    if patch > 1:
        network.conv_in = nn.Sequential(nn.PixelUnshuffle(patch), network.conv_in)
        network.conv_out = nn.Sequential(network.conv_out, nn.PixelShuffle(patch))
    return network  # type: ignore[no-any-return]

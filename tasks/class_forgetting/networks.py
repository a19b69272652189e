"""A small U-Net for pictures of any size."""

from __future__ import annotations

from torch import nn

MOST_LEVELS = 4


def small_unet(image_shape: tuple[int, int, int], num_classes: int, width: int = 32) -> nn.Module:
    """Returns a freshly initialized noise predictor with classes and one label for none.

    Each level has half the resolution of the one before, down to 4 pixels or an odd number of them; the last has attention.

    Args:
        image_shape: ``(C, H, W)``; pictures are squares.
        num_classes: Of the data.
        width: Channels of the first level, a multiple of 8; the others have twice as many.
    """
    from diffusers import UNet2DModel

    channels, size, _ = image_shape
    levels, innermost = 1, size
    while levels < MOST_LEVELS and innermost % 2 == 0 and innermost > 4:
        levels, innermost = levels + 1, innermost // 2
    network: nn.Module = UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(width, *[2 * width] * (levels - 1)),
        layers_per_block=1,
        down_block_types=(*["DownBlock2D"] * (levels - 1), "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", *["UpBlock2D"] * (levels - 1)),
        norm_num_groups=8,
        attention_head_dim=8,
        num_class_embeds=num_classes + 1,
    )
    return network

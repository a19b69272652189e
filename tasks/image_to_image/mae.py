"""A masked autoencoder (He et al., 2022) as an in-painter: transformers' ``ViTMAEForPreTraining``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, first_line
from .checkpoints import read_config
from .inpainter import Inpainter, PixelFilling

if TYPE_CHECKING:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

HEAD_WIDTH = 16
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class MAE(Inpainter, PixelFilling):
    """Fills holes whose edges lie on the grid of patches, in one pass.

    Args:
        network: Predicts pixels, not normalized patches.
        mean: Of the pixels that the network was trained on, one a channel, for images in [0, 1].
        deviation: Likewise.

    Raises:
        ValueError: The network predicts normalized patches, which cannot be put back into a picture.
    """

    def __init__(
        self, network: ViTMAEForPreTraining, mean: Sequence[float] = (0.5,), deviation: Sequence[float] = (0.5,)
    ) -> None:
        super().__init__()
        if network.config.norm_pix_loss:
            raise ValueError(
                "the checkpoint predicts normalized patches (norm_pix_loss); take one that predicts pixels"
            )
        self.network = network
        self.mean = nn.Buffer(torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.deviation = nn.Buffer(torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)

    @property
    def encoder(self) -> nn.Module:
        """See ``Inpainter.encoder``."""
        encoder: nn.Module = self.network.vit
        return encoder

    def forward(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """See ``Inpainter.forward``: images."""
        output = self.network(self._normalized(visible), noise=self._order(hole))
        pixels = self.network.unpatchify(output.logits) * self.deviation + self.mean
        return 2 * pixels - 1

    def encode(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """See ``Inpainter.encode``: the class token and the visible patches in their order, ``(B, 1 + N, D)``."""
        embedding: Tensor = self.network.vit(self._normalized(visible), noise=self._order(hole)).last_hidden_state
        return embedding

    def _normalized(self, images: Tensor) -> Tensor:
        return ((images + 1) / 2 - self.mean) / self.deviation

    def _order(self, hole: Tensor) -> Tensor:
        """Returns the noise by which the network sorts its patches: visible ones in their order, then the hole's.

        Raises:
            ValueError: A hole covers a patch in part, or the holes differ in size.
        """
        config = self.network.config
        patches = nn.functional.avg_pool2d(hole.float(), config.patch_size).flatten(1)
        missing = patches.sum(1)
        if bool(((patches > 0) & (patches < 1)).any()) or bool((missing != missing[0]).any()):
            raise ValueError("every hole must cover the same number of whole patches")
        count = patches.shape[1]
        # The network keeps int(count * (1 - ratio)) patches; half a patch more keeps rounding from dropping one.
        config.mask_ratio = (float(missing[0]) - 0.5) / count
        return patches + torch.arange(count, device=hole.device) / count


def small_mae(size: int, patch: int, channels: int, width: int, layers: int, decoder_layers: int) -> MAE:
    """Returns a freshly initialized masked autoencoder with heads 16 wide.

    Args:
        size: Height and width of the pictures, in pixels.
        patch: Side of a patch, in pixels.
        channels: Of the pictures.
        width: Of encoder and decoder.
        layers: Of the encoder.
        decoder_layers: Of the decoder.
    """
    from transformers import ViTMAEConfig

    return MAE(
        build(
            ViTMAEConfig(
                image_size=size,
                patch_size=patch,
                num_channels=channels,
                hidden_size=width,
                num_hidden_layers=layers,
                num_attention_heads=width // HEAD_WIDTH,
                intermediate_size=4 * width,
                decoder_hidden_size=width,
                decoder_num_hidden_layers=decoder_layers,
                decoder_num_attention_heads=width // HEAD_WIDTH,
                decoder_intermediate_size=4 * width,
                norm_pix_loss=False,
            )
        )
    )


def load_mae(folder: Path, size: int, patch: int, way_out: str) -> MAE:
    """Returns a public masked autoencoder, trained on ImageNet's mean and deviation, in evaluation mode.

    Args:
        folder: In transformers' ``from_pretrained`` layout.
        size: Height and width of its pictures, in pixels.
        patch: Side of a patch, in pixels.
        way_out: What to do instead, as the end of a sentence.

    Raises:
        BenchmarkError: The folder holds another model, one of other sizes or without a decoder, or one that predicts
            normalized patches.
    """
    from transformers import ViTMAEForPreTraining

    config = read_config(folder, "", "ViTMAEForPreTraining", way_out)
    found = tuple(config.get(key, default) for key, default in (("image_size", 224), ("patch_size", 16)))
    if found != (size, patch):
        raise BenchmarkError(
            f"The model in {folder} takes pictures of {found[0]} pixels in patches of {found[1]}, and the task's have "
            f"{size} and {patch}; {way_out}."
        )
    try:
        loaded: Any = ViTMAEForPreTraining.from_pretrained(
            folder, output_loading_info=True, use_safetensors=True, local_files_only=True
        )
        network, report = loaded
    # transformers and safetensors raise kinds of their own for files that are damaged or do not fit.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The weights in {folder} cannot be loaded ({first_line(error)[:160]}); {way_out}."
        ) from None
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise BenchmarkError(
            f"The checkpoint in {folder} lacks {len(lacking)} weights, {lacking[0]} among them, as one without its decoder "
            f"does; {way_out}."
        )
    try:
        return MAE(network, IMAGENET_MEAN, IMAGENET_DEVIATION).eval()
    except ValueError as error:
        raise BenchmarkError(f"The model in {folder} cannot fill holes: {error}.") from None


def build(config: ViTMAEConfig) -> ViTMAEForPreTraining:
    """Returns a freshly initialized network with the fixed position embeddings of He et al.

    transformers 5 leaves them, the class token and the mask token at zero in a network that is not loaded from a
    checkpoint; trained so, it never does better than the mean picture.
    """
    from transformers import ViTMAEForPreTraining

    network = ViTMAEForPreTraining(config)
    embeddings, decoder = network.vit.embeddings, network.decoder
    side = math.isqrt(embeddings.patch_embeddings.num_patches)
    with torch.no_grad():
        for positions in (embeddings.position_embeddings, decoder.decoder_pos_embed):
            positions.copy_(_grid_embedding(side, positions.shape[-1]))
        nn.init.normal_(embeddings.cls_token, std=config.initializer_range)
        nn.init.normal_(decoder.mask_token, std=config.initializer_range)
    return network


def _grid_embedding(side: int, width: int) -> Tensor:
    """Returns the sine and cosine embedding of a square grid, ``(1, 1 + side * side, width)``; a zero for the class token."""
    frequencies = 10000.0 ** (-torch.arange(width // 4) / (width / 4))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    parts = []
    for place in (columns, rows):
        angles = place.flatten()[:, None] * frequencies
        parts += [angles.sin(), angles.cos()]
    return nn.functional.pad(torch.cat(parts, 1), (0, 0, 1, 0)).unsqueeze(0)

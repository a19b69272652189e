"""Brings the public checkpoint of Palette's re-implementation into diffusers' form.

``python -m unlearnbench.tasks.image_to_image.convert_palette 16_Network.pth FOLDER``, once; the task ``places365-palette`` then
takes the folder. The file is read as weights alone, never as a pickle.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file
from torch import Tensor

from ...benchmark.errors import BenchmarkError, first_line
from .palette import HEAD_WIDTH, unet

SIZE = 256
_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = {
    "cond_embed.0": "time_embedding.linear_1",
    "cond_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def convert(weights: dict[str, Tensor], size: int = SIZE, head_width: int = HEAD_WIDTH) -> UNet2DModel:
    """Returns the network that a state dict of the re-implementation describes.

    Args:
        weights: By their names there, with or without ``denoise_fn.`` in front; schedules beside them are passed over.
        size: Height and width of the pictures that it was trained on, in pixels.
        head_width: Of its attention.

    Raises:
        BenchmarkError: It is not such a network: names or shapes differ.
    """
    found = {key.removeprefix("denoise_fn."): value for key, value in weights.items()}
    found = {
        key: value
        for key, value in found.items()
        if re.match(r"(cond_embed|input_blocks|middle_block|output_blocks|out)\.", key)
    }
    try:
        width = found["cond_embed.0.weight"].shape[1]
        levels = 1 + len({key.split(".")[1] for key in found if re.match(r"output_blocks\.\d+\.1\.in_layers", key)})
        layers = len({key.split(".")[1] for key in found if key.startswith("input_blocks.")}) // levels - 1
        channels = [
            found[f"input_blocks.{1 + level * (layers + 1)}.0.out_layers.3.weight"].shape[0] for level in range(levels)
        ]
        network = unet(size, width, tuple(count // width for count in channels), layers, head_width)
        named = dict(_renamed(found, levels, layers))
        named |= _attention(found, head_width)
        network.load_state_dict(named)
    except (KeyError, IndexError, RuntimeError, ValueError, ZeroDivisionError) as error:
        raise BenchmarkError(
            f"These are not the weights of Palette's U-Net with attention in the middle alone ({first_line(error)[:200]}); "
            "give the file ..._Network.pth of its in-painting model."
        ) from None
    return network


def _renamed(weights: dict[str, Tensor], levels: int, layers: int) -> Iterator[tuple[str, Tensor]]:
    """Every weight but the attention's under its new name."""
    blocks = {"middle_block.0": "mid_block.resnets.0", "middle_block.2": "mid_block.resnets.1"}
    for level in range(levels):
        down, up = 1 + level * (layers + 1), level * (layers + 1)
        for layer in range(layers):
            blocks[f"input_blocks.{down + layer}.0"] = f"down_blocks.{level}.resnets.{layer}"
        blocks[f"input_blocks.{down + layers}.0"] = f"down_blocks.{level}.downsamplers.0"
        for layer in range(layers + 1):
            blocks[f"output_blocks.{up + layer}.0"] = f"up_blocks.{level}.resnets.{layer}"
        blocks[f"output_blocks.{up + layers}.1"] = f"up_blocks.{level}.upsamplers.0"
    names = dict(_ENDS)
    names |= {f"{old}.{part}": f"{new}.{other}" for old, new in blocks.items() for part, other in _RESIDUAL.items()}
    for key, value in weights.items():
        if not key.startswith("middle_block.1."):
            module, _, kind = key.rpartition(".")
            yield f"{names[module]}.{kind}", value


def _attention(weights: dict[str, Tensor], head_width: int) -> dict[str, Tensor]:
    """The middle's attention: there one convolution gives query, key and value of the first head, then of the second..."""
    old, new = "middle_block.1", "mid_block.attentions.0"
    found = {f"{new}.group_norm.{kind}": weights[f"{old}.norm.{kind}"] for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        joint = weights[f"{old}.qkv.{kind}"]
        parts = joint.reshape(-1, 3, head_width, *joint.shape[1:2])
        for place, name in enumerate(("to_q", "to_k", "to_v")):
            found[f"{new}.{name}.{kind}"] = parts[:, place].flatten(0, 1)
        out = weights[f"{old}.proj_out.{kind}"]
        found[f"{new}.to_out.0.{kind}"] = out.flatten(1) if kind == "weight" else out
    return found


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads a file of weights, ``.safetensors`` or PyTorch's, without running anything that it holds.

    Raises:
        BenchmarkError: It is missing, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise BenchmarkError(f"There is no file {path}; give the checkpoint to convert.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    # Damaged or hostile bytes make PyTorch's restricted unpickler raise nearly anything.
    except Exception:  # noqa: BLE001
        raise BenchmarkError(
            f"{path} cannot be read as weights alone: it is damaged, or it holds other objects than tensors, which are not "
            "loaded; get it again, or save its state dict as safetensors."
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Converts a file; see the module."""
    parser = argparse.ArgumentParser(prog="convert_palette", description="Palette's checkpoint in diffusers' form.")
    parser.add_argument("checkpoint", type=Path, help="..._Network.pth, or its state dict as .safetensors")
    parser.add_argument("folder", type=Path, help="where to write config.json and the weights")
    parser.add_argument("--size", type=int, default=SIZE, help="of the pictures, in pixels")
    chosen = parser.parse_args(arguments)
    try:
        network = convert(read_weights(chosen.checkpoint), chosen.size)
        network.save_pretrained(chosen.folder)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{chosen.folder} cannot be written ({error.strerror}); choose another folder.\n")
        return 2
    count = sum(value.numel() for value in network.parameters())
    sys.stdout.write(f"{chosen.folder}: {count:,} parameters; run with --set base={chosen.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

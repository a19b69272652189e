"""Miniatures of the tasks on photographs as a plugin file: small networks, few pictures, the same code and formats.

Also what tests make for them: data sets in the hub's layout and checkpoints in ``from_pretrained`` layout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from parquet_files import encoded, write_parquet
from unlearnbench.tasks.data.sets import IMAGENET, PLACES365
from unlearnbench.tasks.image_to_image.holes import quarter_holes
from unlearnbench.tasks.image_to_image.photographs import Sizes
from unlearnbench.tasks.image_to_image.trained import Preset
from unlearnbench.tasks.imagenet_mae import ImageNetMAE
from unlearnbench.tasks.imagenet_vqgan import ImageNetVQGAN
from unlearnbench.tasks.judges.classifiers import JudgeRecipe
from unlearnbench.tasks.miniplaces_mae import MiniPlacesMAE
from unlearnbench.tasks.places365_palette import Places365Palette
from unlearnbench.tasks.tinyimagenet_mae import TinyImageNetMAE
from unlearnbench.tasks.training.recipe import TrainingRecipe

TINY = Preset(
    patch=8,
    width=32,
    layers=2,
    decoder_layers=1,
    recipe=TrainingRecipe(steps=12, batch_size=32, lr=1e-3),
    judges=(JudgeRecipe("test_resnet", 8, channels=3, input_size=64, mirrored=True),),
    sizes=Sizes(method=16, judged=6),
    each=40,
)
SIZE, PATCH = 32, 4
HOLES = quarter_holes(PATCH)


class TinyTinyImageNet(TinyImageNetMAE):
    name: ClassVar[str] = "tiny-tinyimagenet"
    unseen_images: ClassVar[int] = 12
    presets: ClassVar = {"small": TINY, "full": TINY}


class TinyMiniPlaces(MiniPlacesMAE):
    name: ClassVar[str] = "tiny-miniplaces"
    unseen_images: ClassVar[int] = 12
    presets: ClassVar = {"small": TINY, "full": TINY}


class Tiny:
    """What the miniatures of public checkpoints share."""

    unseen_images: ClassVar[int] = 12
    batch_size: ClassVar = 4
    image_shape: ClassVar = (3, SIZE, SIZE)
    test_holes: ClassVar = HOLES


class TinyImageNetMAE1k(Tiny, ImageNetMAE):
    name: ClassVar[str] = "tiny-imagenet-mae"
    data: ClassVar = dataclasses.replace(IMAGENET, size=SIZE, shorter=36)

    judges: tuple[str, ...] = ()


class TinyVQGAN(Tiny, ImageNetVQGAN):
    name: ClassVar[str] = "tiny-vqgan"
    data: ClassVar = TinyImageNetMAE1k.data

    judges: tuple[str, ...] = ()


class TinyPalette(Tiny, Places365Palette):
    name: ClassVar[str] = "tiny-palette"
    data: ClassVar = dataclasses.replace(PLACES365, size=SIZE)


def write_data(folder: Path, splits: Sequence[str], names: Sequence[str], each: int, size: int = 40) -> None:
    """Writes a data set in the hub's layout: parquet files with ``image`` and ``label``, sorted by class."""
    import datasets

    generator = np.random.default_rng(0)
    types = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    for split in splits:
        rows: dict[str, list] = {"image": [], "label": []}
        for label in range(len(names)):
            for _ in range(each):
                pixels = generator.integers(0, 256, (4, 5, 3)) // 3 + 170 * label // len(names)
                picture = Image.fromarray(pixels.astype(np.uint8)).resize((size + 8, size), Image.Resampling.BICUBIC)
                rows["image"].append(encoded(np.asarray(picture), "JPEG"))
                rows["label"].append(label)
        write_parquet(folder / "data" / f"{split}-00000-of-00001.parquet", rows, types)


def write_pictures(folder: Path, names: Sequence[str], each: int = 8) -> None:
    """Writes a folder of PNG files for each class of Tiny ImageNet's splits; a class looks alike in every copy."""
    for name in names:
        generator = np.random.default_rng([ord(letter) for letter in name])
        for split in ("train", "valid"):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(each):
                pixels = generator.integers(0, 256, (64, 64, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")


def write_mae(folder: Path, **changes) -> None:
    """Writes a random ``ViTMAEForPreTraining`` as ``save_pretrained`` does."""
    from transformers import ViTMAEConfig

    from unlearnbench.tasks.image_to_image.mae import build

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    decoder = {
        "decoder_hidden_size": 32,
        "decoder_num_hidden_layers": 1,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 64,
    }
    build(ViTMAEConfig(image_size=SIZE, patch_size=PATCH, **sizes, **decoder, **changes)).save_pretrained(folder)


def write_palette(folder: Path) -> None:
    """Writes a random in-painting ``UNet2DModel`` as ``save_pretrained`` does."""
    from unlearnbench.tasks.image_to_image.palette import unet

    torch.manual_seed(0)
    unet(SIZE, 32, (1, 1), 1, 16).save_pretrained(folder)


def write_vqgan(folder: Path) -> None:
    """Writes random networks as ``AmusedPipeline.save_pretrained`` does, with tokens of 4 pixels and 30 codes."""
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(0)
    words = folder / "words"
    words.mkdir(parents=True)
    (words / "vocab.json").write_text('{"!": 0, "a": 1, "<|startoftext|>": 2, "<|endoftext|>": 3}')
    (words / "merges.txt").write_text("#version: 0.2\n")
    text = CLIPTextConfig(
        vocab_size=4,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=8,
        max_position_embeddings=7,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    pipeline = AmusedPipeline(
        vqvae=VQModel(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 16, 16),
            latent_channels=8,
            num_vq_embeddings=30,
            norm_num_groups=8,
            mid_block_add_attention=False,
            lookup_from_codebook=True,
        ),
        tokenizer=CLIPTokenizer(
            str(words / "vocab.json"), str(words / "merges.txt"), pad_token="!", model_max_length=7
        ),
        text_encoder=CLIPTextModelWithProjection(text),
        transformer=UVit2DModel(
            hidden_size=32,
            cond_embed_dim=8,
            micro_cond_encode_dim=4,
            micro_cond_embed_dim=20,
            encoder_hidden_size=16,
            vocab_size=32,
            codebook_size=30,
            in_channels=16,
            block_out_channels=16,
            num_res_blocks=1,
            block_num_heads=2,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
        ),
        scheduler=AmusedScheduler(mask_token_id=31),
    )
    pipeline.save_pretrained(folder)


def write_judge(path: Path, num_classes: int) -> None:
    """Writes the weights of timm's smallest network."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=num_classes)
    save_file(network.state_dict(), path)

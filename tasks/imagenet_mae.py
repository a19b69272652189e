"""``imagenet-mae``: the public masked autoencoder stops filling holes in photographs of a hundred classes of ImageNet."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from .data.dataset import DataSet
from .data.sets import IMAGENET
from .data.splits import World
from .image_to_image.holes import Hole
from .image_to_image.inpainter import Filling
from .image_to_image.mae import MAE, load_mae
from .image_to_image.pretrained import PretrainedTask

SIZE, PATCH = 224, 16
PATCHES = (SIZE // PATCH) ** 2
HOLES = {
    "centre8": Hole("centre", 64 / PATCHES, PATCH),
    "centre4": Hole("centre", 16 / PATCHES, PATCH),
    "random": Hole("random", 64 / PATCHES, PATCH),
    "outpainting": Hole("out-painting", 1 - 64 / PATCHES, PATCH),
}


class ImageNetMAE(PretrainedTask):
    """In-painting ImageNet at 224 pixels with facebook/vit-mae-base (112 M parameters). Needs the hub or copies, and a GPU."""

    name: ClassVar[str] = "imagenet-mae"
    run_seconds: ClassVar[float] = 2 * 3600.0
    image_shape: ClassVar[tuple[int, int, int]] = (3, SIZE, SIZE)
    batch_size: ClassVar[int] = 64
    fill_batch: ClassVar[int] = 100
    filling: ClassVar[Filling] = MAE
    test_holes: ClassVar[dict[str, Hole]] = HOLES
    data: ClassVar[DataSet] = IMAGENET
    world: ClassVar[World] = "imagenet"
    forget_count: ClassVar[int] = 100
    way_out: ClassVar[str] = (
        "download facebook/vit-mae-base where the hub can be reached and name its folder with `--set base=FOLDER`"
    )

    base: str = "facebook/vit-mae-base"
    """A name on the hub, or a folder that ``ViTMAEForPreTraining.save_pretrained`` wrote."""
    revision: str | None = "25b184bea5538bf5c4c852c79d221195fdd2778d"
    """The hub's commit."""
    judges: tuple[str, ...] = ("resnet50.a1_in1k", "convnext_tiny.fb_in1k")
    """timm's names, as ``NAME`` or ``NAME=FILE.safetensors``, with ``@SHA256`` behind;
    the first one's features serve the distances."""

    def load(self, folder: Path) -> MAE:
        """See ``PretrainedTask.load``."""
        return load_mae(folder, self.image_shape[-1], self.training_holes[0].grid, self.way_out)

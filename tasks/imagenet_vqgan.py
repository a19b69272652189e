"""``imagenet-vqgan``: a public masked token model stops filling holes in photographs of a hundred classes of ImageNet."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from ..benchmark.needs import Need
from .data.dataset import DataSet
from .data.sets import IMAGENET
from .data.splits import World
from .image_to_image.holes import Hole, quarter_holes
from .image_to_image.pretrained import PretrainedTask
from .image_to_image.tokens import PARTS, STEPS, TokenFilling, TokenInpainter, load_token_filling, load_token_inpainter

SIZE, GRID = 256, 16


class ImageNetVQGAN(PretrainedTask):
    """In-painting ImageNet at 256 pixels over a VQGAN's tokens with amused/amused-256. Needs the hub or copies, and a GPU."""

    name: ClassVar[str] = "imagenet-vqgan"
    offers: ClassVar[frozenset[Need]] = PretrainedTask.offers - {Need.IMAGES}
    run_seconds: ClassVar[float] = 4 * 3600.0
    image_shape: ClassVar[tuple[int, int, int]] = (3, SIZE, SIZE)
    batch_size: ClassVar[int] = 32
    fill_batch: ClassVar[int] = 50
    parts: ClassVar[tuple[str, ...]] = PARTS
    test_holes: ClassVar[dict[str, Hole]] = quarter_holes(GRID) | {"centre4": Hole("centre", 1 / 16, GRID)}
    data: ClassVar[DataSet] = dataclasses.replace(IMAGENET, size=SIZE, shorter=SIZE)
    world: ClassVar[World] = "imagenet"
    forget_count: ClassVar[int] = 100
    way_out: ClassVar[str] = (
        "download amused/amused-256 where the hub can be reached and name its folder with `--set base=FOLDER`"
    )

    base: str = "amused/amused-256"
    """A name on the hub, or a folder that ``AmusedPipeline.save_pretrained`` wrote."""
    judges: tuple[str, ...] = ("resnet50.a1_in1k", "convnext_tiny.fb_in1k")
    """timm's names, as ``NAME`` or ``NAME=FILE.safetensors``, with ``@SHA256`` behind;
    the first one's features serve the distances."""

    @property
    def filling(self) -> TokenFilling:  # type: ignore[override]
        """See ``InpaintingTask.filling``."""
        return load_token_filling(self.folder(), self.image_shape[-1], self.training_holes[0].grid, self.way_out)

    def load(self, folder: Path) -> TokenInpainter:
        """See ``PretrainedTask.load``: the tokenizer must be there, too."""
        load_token_filling(folder, self.image_shape[-1], self.training_holes[0].grid, self.way_out)
        return load_token_inpainter(folder, self.image_shape[-1], self.way_out)

    def sampling(self) -> str:
        """See ``InpaintingTask.sampling``."""
        how = f"masked tokens in {STEPS} steps"
        return f"{super().sampling()}, {how}, choices by seed and batch of {self.fill_batch}"

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        return {**super().evaluation_protocol(), "sampling": self.sampling()}

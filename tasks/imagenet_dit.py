"""``imagenet-dit``: DiT-XL/2 at 256x256 forgets a class of ImageNet. Needs a GPU, the hub (or copies) and ImageNet."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .class_suppression import base as bases
from .class_suppression.task import ClassSuppressionTask
from .data import imagenet
from .data.dataset import DataSet
from .data.sets import IMAGENET


class ImageNetDiT(ClassSuppressionTask):
    """Class suppression on facebook/DiT-XL-2-256, a latent diffusion transformer of 675 M parameters."""

    name: ClassVar[str] = "imagenet-dit"
    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "paper"
    pictures: ClassVar[DataSet] = IMAGENET
    cached_together: ClassVar[tuple[int, ...]] = imagenet.FORGET_CLASSES
    request_settings: ClassVar[frozenset[str]] = frozenset({"forget_class"})
    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"forget_class": label} for label in imagenet.FORGET_CLASSES
    )

    forget_class: Annotated[int, Field(ge=0)] = 207
    """The class to forget. The papers forget 89, 207, 270, 279 and 360."""
    base: str = bases.HUB_ID
    """The model: a name on the hub, or a folder that ``DiTPipeline.save_pretrained`` wrote."""
    revision: str | None = bases.REVISION
    """The commit, where the base is on the hub."""
    data: str | None = None
    """A folder in the layout of ILSVRC/imagenet-1k; otherwise ``$UNLEARNBENCH_DATA/imagenet-1k``, otherwise the hub."""
    judges: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "convnext_base.fb_in1k",
        "vit_base_patch16_224.augreg_in21k_ft_in1k",
    )
    """timm classifiers, each ``NAME`` or ``NAME=FILE.safetensors``, with ``@SHA256`` behind to pin the weights; by default
    a convolutional network and a transformer, from different authors and training recipes."""

    def near(self) -> list[int]:
        """See ``ClassSuppressionTask.near``: those with the next indices."""
        return imagenet.near_classes(self.forget_class, self.shapes().num_classes)

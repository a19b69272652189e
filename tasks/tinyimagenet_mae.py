"""``tinyimagenet-mae``: a small masked autoencoder stops filling holes in photographs of some classes of Tiny ImageNet."""

from __future__ import annotations

from typing import ClassVar

from .data.dataset import DataSet
from .data.sets import MINIPLACES, TINY_IMAGENET
from .data.splits import World
from .image_to_image.trained import TrainedMAETask


class TinyImageNetMAE(TrainedMAETask):
    """In-painting 64x64 photographs of animals and things. Needs Tiny ImageNet, from the hub or a folder of some classes."""

    name: ClassVar[str] = "tinyimagenet-mae"
    data: ClassVar[DataSet] = TINY_IMAGENET
    world: ClassVar[World] = "imagenet"
    forget_count: ClassVar[int] = 20
    unseen_from: ClassVar[DataSet | None] = MINIPLACES

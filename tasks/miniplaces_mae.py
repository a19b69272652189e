"""``miniplaces-mae``: a small masked autoencoder stops filling holes in photographs of some kinds of places."""

from __future__ import annotations

from typing import ClassVar

from .data.dataset import DataSet
from .data.sets import MINIPLACES, TINY_IMAGENET
from .data.splits import World
from .image_to_image.trained import TrainedMAETask


class MiniPlacesMAE(TrainedMAETask):
    """In-painting 64x64 photographs of indoor and outdoor scenes. Needs a folder with MiniPlaces or some classes of it."""

    name: ClassVar[str] = "miniplaces-mae"
    data: ClassVar[DataSet] = MINIPLACES
    world: ClassVar[World] = "places"
    forget_count: ClassVar[int] = 10
    unseen_from: ClassVar[DataSet | None] = TINY_IMAGENET

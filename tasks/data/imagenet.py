"""ImageNet-1k (Russakovsky et al., 2015), through ``datasets``: streamed file by file, cropped as ADM crops."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from . import labelled
from .labelled import LabelledRows, Pixels

HUB_ID = "ILSVRC/imagenet-1k"
FOLDER_VARIABLE = "UNLEARNBENCH_DATA"
FOLDER = "imagenet-1k"
NUM_CLASSES = 1000
FORGET_CLASSES = (89, 207, 270, 279, 360)
"""SFRon's and DualOptim's: sulphur-crested cockatoo, golden retriever, white wolf, Arctic fox, otter."""
NEIGHBOURS = 2
"""Classes on either side that count as near: ImageNet's indices follow WordNet, so neighbours are mostly relatives."""


class Picture(NamedTuple):
    """One image of the data set."""

    pixels: Pixels
    """``(size, size, 3)``, cropped."""
    label: int

    def sha256(self) -> bytes:
        """Returns the hash of pixels and label."""
        return hashlib.sha256(self.pixels.tobytes() + struct.pack("<i", self.label)).digest()


def source(folder: str | None) -> str:
    """Returns where the data is: the given folder, else ``imagenet-1k`` below ``$UNLEARNBENCH_DATA``, else the hub."""
    if folder is not None:
        return folder
    below = os.environ.get(FOLDER_VARIABLE)
    return str(Path(below) / FOLDER) if below and (Path(below) / FOLDER).is_dir() else HUB_ID


def near_classes(label: int, num_classes: int = NUM_CLASSES) -> list[int]:
    """Returns the classes that are most like one, by their index."""
    around = range(label - NEIGHBOURS, label + NEIGHBOURS + 1)
    return [other for other in around if other != label and 0 <= other < num_classes]


class ImageFiles(LabelledRows):
    """A split of the data, one parquet file after the other, so that long work on it can go on where it stopped.

    Args:
        where: A folder or the hub's name, see ``source``.
        split: ``train`` or ``validation``.

    Raises:
        BenchmarkError: See ``LabelledRows``.
    """

    def __init__(self, where: str, split: str) -> None:
        way_out = (
            f"put a copy of {HUB_ID} in the hub's layout into a folder '{FOLDER}', set {FOLDER_VARIABLE} to the folder above "
            "it, or name it with `--set data=FOLDER`"
        )
        super().__init__(where, split, hub_id=HUB_ID, way_out=way_out)

    def rows(self, file: int) -> Iterator[tuple[str, bytes, int]]:
        """Yields what a file holds, undecoded: what to call the image, its bytes, its label.

        Raises:
            BenchmarkError: The file cannot be read.
        """
        for number, (encoded, label) in enumerate(self.pictures(file)):
            yield f"image {number} in file {file} of the split '{self.split}' of {self.where}", encoded, label


def decode(name: str, data: bytes, label: int, size: int) -> Picture:
    """Returns an image from its file's bytes, cropped.

    Raises:
        BenchmarkError: The bytes are no image.
    """
    way_out = "fetch that parquet file again and start again: what is finished is kept"
    return Picture(labelled.decode(data, name, lambda image: adm_crop(image, size), way_out), label)


def adm_crop(image: Image.Image, size: int) -> Image.Image:
    """Returns the centre square at a size.

    The crop of ADM (Dhariwal and Nichol, 2021), which DiT was trained with: halve with a box filter while the shorter side
    is at least twice the size, bring it to the size with a bicubic filter, cut out the middle.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))

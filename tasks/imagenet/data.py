"""ImageNet-1k (Russakovsky et al., 2015), through ``datasets``: streamed file by file, cropped as ADM crops."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...benchmark.errors import BenchmarkError, first_line
from ..common import hub

HUB_ID = "ILSVRC/imagenet-1k"
FOLDER_VARIABLE = "UNLEARNBENCH_DATA"
FOLDER = "imagenet-1k"
NUM_CLASSES = 1000
FORGET_CLASSES = (89, 207, 270, 279, 360)
"""SFRon's and DualOptim's: sulphur-crested cockatoo, golden retriever, white wolf, Arctic fox, otter."""
NEIGHBOURS = 2
"""Classes on either side that count as near: ImageNet's indices follow WordNet, so neighbours are mostly relatives."""

Pixels = NDArray[np.uint8]


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


class ImageFiles:
    """A split of the data, one parquet file after the other, so that long work on it can go on where it stopped.

    Args:
        where: A folder or the hub's name, see ``source``.
        split: ``train`` or ``validation``.

    Raises:
        BenchmarkError: It is not there, or does not have the columns ``image`` and ``label``.
    """

    def __init__(self, where: str, split: str) -> None:
        import datasets

        datasets.disable_progress_bars()
        self.where = where
        self.split = split
        try:
            rows: Any = datasets.load_dataset(where, split=split, streaming=True)
        # The hub, the network and the disk fail in many ways; the sentence tells those apart that have ways out of their own.
        except Exception as error:  # noqa: BLE001
            raise self._unavailable(error) from None
        columns = set(rows.column_names or ())
        if not {"image", "label"} <= columns:
            raise BenchmarkError(
                f"The split '{split}' of {where} has the columns {', '.join(sorted(columns)) or 'none'} and not 'image' "
                f"and 'label'; give a copy of {HUB_ID} in its own layout."
            )
        self._rows = rows.cast_column("image", datasets.Image(decode=False))

    def __len__(self) -> int:
        return int(self._rows.num_shards)

    def rows(self, file: int) -> Iterator[tuple[str, bytes, int]]:
        """Yields what a file holds, undecoded: what to call the image, its bytes, its label.

        Raises:
            BenchmarkError: The file cannot be read.
        """
        part = iter(self._rows.shard(num_shards=len(self), index=file))
        number = 0
        while True:
            try:
                row = next(part, None)
            except Exception as error:  # noqa: BLE001
                raise self._unavailable(error) from None
            if row is None:
                return
            name = f"image {number} in file {file} of the split '{self.split}' of {self.where}"
            yield name, row["image"]["bytes"] or b"", int(row["label"])
            number += 1

    def _unavailable(self, error: Exception) -> BenchmarkError:
        way_out = (
            f"put a copy of {HUB_ID} in the hub's layout into a folder '{FOLDER}', set {FOLDER_VARIABLE} to the folder above "
            "it, or name it with `--set data=FOLDER`"
        )
        if self.where == HUB_ID:
            return hub.refusal(f"The data set {HUB_ID}", error, way_out)
        return BenchmarkError(
            f"The split '{self.split}' of the data in {self.where} cannot be read ({first_line(error)[:200]}); {way_out}."
        )


def decode(name: str, data: bytes, label: int, size: int) -> Picture:
    """Returns an image from its file's bytes, cropped.

    Raises:
        BenchmarkError: The bytes are no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return Picture(adm_crop(image.convert("RGB"), size), label)
    # PIL raises a dozen kinds for damaged files.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The {name} is damaged ({first_line(error)[:120]}); fetch that parquet file again and start again: "
            "what is finished is kept."
        ) from None


def adm_crop(image: Image.Image, size: int) -> Pixels:
    """Returns the centre square at a size, ``(size, size, 3)``.

    The crop of ADM (Dhariwal and Nichol, 2021), which DiT was trained with: halve with a box filter while the shorter side
    is at least twice the size, bring it to the size with a bicubic filter, cut out the middle.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8)

"""Photographs as bytes: from a data set on the hub or from a folder of the same layout, file by file, some of each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...benchmark.errors import BenchmarkError
from .labelled import LabelledRows, Pixels, decode

FOLDER_VARIABLE = "UNLEARNBENCH_DATA"


class Pictures(NamedTuple):
    """Bytes ``(N, 3, size, size)`` and labels ``(N,)``."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class PictureSet:
    """A data set with the columns ``image`` and ``label``.

    Attributes:
        hub_id: Its name on the hub; None for one that is not there.
        revision: The hub's commit.
        folders: Where a copy may lie below ``$UNLEARNBENCH_DATA``; the first that is there is taken before the hub.
        train: The name of the split that is trained on.
        test: The name of the split that is judged.
        size: Height and width of the pictures that are handed out, in pixels.
        shorter: What the shorter side is brought to before the middle is cut out; None presses the whole picture to the size.
    """

    hub_id: str | None
    revision: str | None
    folders: tuple[str, ...]
    train: str
    test: str
    size: int
    shorter: int | None = None

    def folder(self) -> str | None:
        """Returns the folder below ``$UNLEARNBENCH_DATA`` that holds the data, if there is one."""
        below = os.environ.get(FOLDER_VARIABLE)
        found = [Path(below) / name for name in self.folders if (Path(below) / name).is_dir()] if below else []
        return str(found[0]) if found else None

    def where(self) -> str:
        """Returns the folder or the hub's name that the data comes from.

        Raises:
            BenchmarkError: There is neither.
        """
        folder = self.folder()
        if folder is not None:
            return folder
        if self.hub_id is None:
            raise BenchmarkError(f"The data is not on the hub; {self._way_out()}.")
        return self.hub_id

    def class_names(self, where: str) -> list[str]:
        """Returns what the data set calls its classes, in the order of its labels.

        Raises:
            BenchmarkError: The data is not there, or its labels have no names.
        """
        names = self._rows(where, self.train).class_names
        if not names:
            raise BenchmarkError(
                f"The labels of {where} have no names (its 'label' is no ClassLabel); {self._way_out()}."
            )
        return names

    def load(self, where: str, split: str, limits: Mapping[int, int | None]) -> Pictures:
        """Returns the first pictures of some classes, in the data set's order.

        Args:
            where: See ``where``.
            split: The data set's name of it.
            limits: How many pictures of which labels, None for all; others are passed over without being decoded.

        Raises:
            BenchmarkError: The data cannot be read, or a picture is damaged.
        """
        found: list[Pixels] = []
        labels: list[int] = []
        kept: Counter[int] = Counter()
        finite = all(limit is not None for limit in limits.values())
        for number, (encoded, label) in enumerate(self._rows(where, split).pictures()):
            limit = limits.get(label, 0)
            if limit is None or kept[label] < limit:
                name = f"picture {number} of the split '{split}' of {where}"
                found.append(decode(encoded, name, self._fitted, "get that file again and start again"))
                labels.append(label)
                kept[label] += 1
                if finite and all(kept[other] >= (most or 0) for other, most in limits.items()):
                    break
        if not found:
            raise BenchmarkError(
                f"The split '{split}' of {where} has no picture of the wanted classes; {self._way_out()}."
            )
        return Pictures(torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels))

    def _rows(self, where: str, split: str) -> LabelledRows:
        return LabelledRows(where, split, hub_id=self.hub_id, way_out=self._way_out(), revision=self.revision)

    def _fitted(self, image: Image.Image) -> Image.Image:
        return fitted(image, self.size, self.shorter)

    def _way_out(self) -> str:
        layout = (
            f"in the layout of {self.hub_id}" if self.hub_id else "as parquet files with the columns image and label"
        )
        return f"put a copy {layout} into a folder '{self.folders[0]}' and set {FOLDER_VARIABLE} to the folder above it"


def fitted(image: Image.Image, size: int, shorter: int | None) -> Image.Image:
    """Returns a picture as a square; see ``PictureSet``."""
    if shorter is None:
        return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    scale = shorter / min(image.size)
    if scale != 1:
        sides = [max(shorter, round(side * scale)) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def photographs(size: int, count: int) -> Pictures:
    """Returns squares of the two photographs that scikit-learn ships, evenly spaced over both; labels are -1.

    What always is at hand and in no data set of classes: a temple and a flower.
    """
    from sklearn.datasets import load_sample_images

    squares: list[Pixels] = []
    for picture in load_sample_images().images:
        image = Image.fromarray(picture)
        rows = max(2, -(-count // 16))
        for top in np.linspace(0, image.height - size, rows).astype(int):
            for left in np.linspace(0, image.width - size, 8).astype(int):
                squares.append(np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8))
    images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]
    return Pictures(images[order], torch.full((len(order),), -1))

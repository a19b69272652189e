"""CIFAR-10: 60,000 32x32 colour photographs of ten classes (Krizhevsky, 2009), through ``datasets``."""

from __future__ import annotations

import functools
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...benchmark.errors import BenchmarkError, first_line

HUB_ID = "uoft-cs/cifar10"
REVISION = "0b2714987fa478483af9968de7c934580d0bb9a2"
"""The hub's commit that the data is taken from."""
FOLDER_VARIABLE = "UNLEARNBENCH_DATA"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUM_CLASSES = len(CLASSES)
SIZE = 32
SHA256 = {
    "train": "6a3b2c04d0a79ce272dcdacaf0bc440275db5a8cbe3717521a28fada2ea0d2ed",
    "test": "65a6ffe079453e514083f99356b35e02cbfd581b4951e3937fae188974b79f39",
}
"""The hash of the images of each part with their labels, in whatever order a copy holds them."""


class Images(NamedTuple):
    """One part of CIFAR-10's own split, in the order of its images' hashes, so that every copy gives the same draws."""

    pixels: Tensor
    """Bytes ``(N, 3, 32, 32)``."""
    labels: Tensor
    """``(N,)`` classes."""
    sha256: str


def source() -> str:
    """Returns where the data is loaded from: a folder ``cifar10`` below ``$UNLEARNBENCH_DATA``, else the hub."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return str(Path(folder) / "cifar10") if folder and (Path(folder) / "cifar10").is_dir() else HUB_ID


def load_part(part: Literal["train", "test"], expected: Mapping[str, str] | None = SHA256) -> Images:
    """Loads the training or the test images, once a process, and checks them.

    Args:
        part: Which.
        expected: The hash that each part must have; None takes any images of the same layout.

    Raises:
        BenchmarkError: They cannot be loaded, one is damaged, or they are not CIFAR-10's.
    """
    where = source()
    found = _load(where, part)
    if expected is not None and found.sha256 != expected[part]:
        raise BenchmarkError(
            f"The {part} part of {where} is not CIFAR-10's: its hash is {found.sha256[:12]}, not {expected[part][:12]}; "
            f"get {HUB_ID} at revision {REVISION[:12]} again."
        )
    return found


@functools.cache
def _load(where: str, part: str) -> Images:
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(where, split=part, revision=REVISION if where == HUB_ID else None)
        # Decoding is done here, where a damaged image can be named.
        rows = loaded.cast_column("img", datasets.Image(decode=False)).select_columns(["img", "label"])
    # The hub, the network and the disk fail in many ways; for the user it is one: the data is not there.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The data set {where} cannot be loaded ({first_line(error)}); be online, or put a copy of {HUB_ID} into a "
            f"folder 'cifar10' and set {FOLDER_VARIABLE} to the folder above it."
        ) from None
    return _read(rows.iter(1000), f"the {part} part of {where}")


def _read(batches: Iterable[Mapping[str, list[Any]]], where: str) -> Images:
    images: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    labels: list[int] = []
    for batch in batches:
        for encoded, label in zip(batch["img"], batch["label"], strict=True):
            images.append(_decode(encoded["bytes"], len(images), where))
            labels.append(int(label))
    pairs = zip(images, labels, strict=True)
    digests = [hashlib.sha256(image.tobytes() + bytes([label])).digest() for image, label in pairs]
    order = sorted(range(len(images)), key=digests.__getitem__)
    pixels = torch.from_numpy(np.stack([images[place] for place in order])).permute(0, 3, 1, 2).contiguous()
    found = hashlib.sha256(b"".join(digests[place] for place in order)).hexdigest()
    return Images(pixels, torch.tensor([labels[place] for place in order]), found)


def _decode(encoded: bytes | None, number: int, where: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        pixels = np.asarray(Image.open(io.BytesIO(encoded or b"")).convert("RGB"), dtype=np.uint8)
    # Pillow raises OSError, SyntaxError, ValueError and errors of its own for damaged files.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The image {number} of {where} is damaged ({first_line(error)}); get the data set again."
        ) from None
    if pixels.shape != (SIZE, SIZE, 3):
        raise BenchmarkError(
            f"The image {number} of {where} is {pixels.shape[1]}x{pixels.shape[0]}, not {SIZE}x{SIZE}; "
            f"get {HUB_ID} again."
        )
    return pixels

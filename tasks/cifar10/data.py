"""CIFAR-10: 60,000 32x32 colour photographs of ten classes (Krizhevsky, 2009), through ``datasets``."""

from __future__ import annotations

import functools
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
SHA256 = "3305a27ff7aecbb0735f0f8685620b85d933f630940fd3c1769014bb55d9d085"
"""The hash of all images with their labels, in whatever order a copy holds them."""


class Images(NamedTuple):
    """Bytes ``(N, 3, 32, 32)`` and labels ``(N,)``."""

    pixels: Tensor
    labels: Tensor


class Split(NamedTuple):
    """CIFAR-10's own split, each part in the order of its images' hashes, so that every copy gives the same draws."""

    train: Images
    test: Images
    sha256: str


def source() -> str:
    """Returns where the data is loaded from: a folder ``cifar10`` below ``$UNLEARNBENCH_DATA``, else the hub."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return str(Path(folder) / "cifar10") if folder and (Path(folder) / "cifar10").is_dir() else HUB_ID


def load_split(expected: str | None = SHA256) -> Split:
    """Loads the data, once a process, and checks it.

    Args:
        expected: The hash that it must have; None takes any images of the same layout.

    Raises:
        BenchmarkError: It cannot be loaded, an image is damaged, or it is not CIFAR-10.
    """
    where = source()
    split = _load(where)
    if expected is not None and split.sha256 != expected:
        raise BenchmarkError(
            f"The data set {where} is not CIFAR-10: its hash is {split.sha256[:12]}, not {expected[:12]}; "
            f"get {HUB_ID} at revision {REVISION[:12]} again."
        )
    return split


@functools.cache
def _load(where: str) -> Split:
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(where, revision=REVISION if where == HUB_ID else None)
        # Decoding is done here, where a damaged image can be named.
        parts = {name: loaded[name].cast_column("img", datasets.Image(decode=False)) for name in ("train", "test")}
    # The hub, the network and the disk fail in many ways; for the user it is one: the data is not there.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The data set {where} cannot be loaded ({first_line(error)}); be online, or put a copy of {HUB_ID} into a "
            f"folder 'cifar10' and set {FOLDER_VARIABLE} to the folder above it."
        ) from None
    read = {name: _read(part.iter(1000), f"the {name} part of {where}") for name, part in parts.items()}
    digest = hashlib.sha256("".join(found for _, found in read.values()).encode()).hexdigest()
    return Split(read["train"][0], read["test"][0], digest)


def _read(batches: Iterable[Mapping[str, list[Any]]], where: str) -> tuple[Images, str]:
    """Decodes a part, and returns it in the order of its images' hashes, with the hash of all of it."""
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
    return Images(pixels, torch.tensor([labels[place] for place in order])), found


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

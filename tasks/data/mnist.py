"""MNIST: 70,000 28x28 scans of digits (LeCun et al., 1998), through ``datasets``."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...benchmark.errors import BenchmarkError, first_line

HUB_ID = "ylecun/mnist"
FOLDER_VARIABLE = "UNLEARNBENCH_DATA"
NUM_CLASSES = 10
SIZE = 28
SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
"""The hash of all pixels and labels: every copy of the data, from the hub or a folder, must be this one."""


class Digits(NamedTuple):
    """Images ``(N, 1, 28, 28)`` in [0, 1] and labels ``(N,)``."""

    images: Tensor
    labels: Tensor


class Split(NamedTuple):
    """MNIST's own split."""

    train: Digits
    test: Digits


def source() -> str:
    """Returns where the data is loaded from: a folder ``mnist`` below ``$UNLEARNBENCH_DATA``, else the hub."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return str(Path(folder) / "mnist") if folder and (Path(folder) / "mnist").is_dir() else HUB_ID


@functools.cache
def load_split() -> Split:
    """Loads and checks the data.

    Raises:
        BenchmarkError: It cannot be loaded, or is not MNIST.
    """
    import datasets

    datasets.disable_progress_bars()
    where = source()
    try:
        loaded = datasets.load_dataset(where)
        parts = [_digits(loaded[name]) for name in ("train", "test")]
    # The hub, the network and the disk fail in many ways; for the user it is one: the data is not there.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The data set {where} cannot be loaded ({first_line(error)}); be online, or put a copy of {HUB_ID} into a "
            f"folder 'mnist' and set {FOLDER_VARIABLE} to the folder above it."
        ) from None
    split = Split(*parts)
    found = sha256(split)
    if found != SHA256:
        raise BenchmarkError(f"The data set {where} is not MNIST: its hash is {found[:12]}, not {SHA256[:12]}.")
    return split


def sha256(split: Split) -> str:
    """Returns the hash of all pixels and labels."""
    digest = hashlib.sha256()
    for part in split:
        digest.update((part.images * 255).round().to(torch.uint8).numpy().tobytes())
        digest.update(part.labels.to(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _digits(rows: Mapping[str, Sequence[Any]]) -> Digits:
    pixels = np.stack([np.asarray(image, dtype=np.uint8) for image in rows["image"]])
    return Digits(torch.from_numpy(pixels).float().div(255).unsqueeze(1), torch.tensor(list(rows["label"])))

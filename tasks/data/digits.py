"""scikit-learn's digits: 1,797 real 8x8 scans from the UCI test set of handwritten digits (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...benchmark.errors import BenchmarkError

NUM_CLASSES = 10
SIZE = 8
LEVELS = 16
"""Pixels count the inked cells of a 4x4 square: 0 to 16."""


class Digits(NamedTuple):
    """Images ``(N, 1, 8, 8)`` in [-1, 1] and labels ``(N,)``."""

    images: Tensor
    labels: Tensor

    def of(self, classes: tuple[int, ...]) -> Digits:
        """Returns the images of some classes, in order."""
        return self._where(torch.isin(self.labels, torch.tensor(classes)))

    def without(self, classes: tuple[int, ...]) -> Digits:
        """Returns the images of all other classes, in order."""
        return self._where(~torch.isin(self.labels, torch.tensor(classes)))

    def sha256(self) -> str:
        """Returns the hash of the pixels and the labels."""
        digest = hashlib.sha256(self.images.numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()

    def _where(self, mask: Tensor) -> Digits:
        return Digits(self.images[mask], self.labels[mask])


class Split(NamedTuple):
    """80 % for training, 20 % for testing, every class in proportion."""

    train: Digits
    test: Digits


@functools.cache
def load_split() -> Split:
    """Loads the digits with the suite's fixed split, which scikit-learn's ``train_test_split`` drew once."""
    table = torch.from_numpy(np.loadtxt(_shipped("data/digits.csv.gz"), delimiter=",", dtype=np.uint8))
    images = table[:, :-1].float().view(-1, 1, SIZE, SIZE) * (2 / LEVELS) - 1
    labels = table[:, -1].long()
    split: dict[str, list[int]] = json.loads(Path(__file__).with_name("digits_split.json").read_bytes())
    train, test = (Digits(images[split[part]], labels[split[part]]) for part in ("train", "test"))
    return Split(train, test)


@functools.cache
def photograph() -> Tensor:
    """Returns a photograph that scikit-learn ships, shrunk to a quarter and cut into grey squares ``(N, 1, 8, 8)``.

    What is not a digit, to see what happens to unrelated pictures.
    """
    picture = Image.open(_shipped("images/china.jpg")).convert("L")
    small = picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32))[None, None]
    squares = torch.nn.functional.unfold(pixels, SIZE, stride=SIZE)[0].T
    return squares.reshape(-1, 1, SIZE, SIZE) / 127.5 - 1


def _shipped(name: str) -> Path:
    """Returns one of scikit-learn's data files. Importing it for them would load pandas and half of SciPy, too."""
    spec = importlib.util.find_spec("sklearn")
    path = Path(spec.origin if spec and spec.origin else "sklearn").parent / "datasets" / name
    if not path.is_file():
        raise BenchmarkError(f"scikit-learn's data file {path} is not there; install scikit-learn again.")
    return path

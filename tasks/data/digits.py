"""scikit-learn's digits: 1,797 real 8x8 scans from the UCI test set of handwritten digits (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

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
    """Loads the digits with the suite's fixed split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, targets = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, SIZE, SIZE) * (2 / LEVELS) - 1
    labels = torch.tensor(targets, dtype=torch.long)
    train, test = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return Split(Digits(images[train], labels[train]), Digits(images[test], labels[test]))


@functools.cache
def photograph() -> Tensor:
    """Returns a photograph that scikit-learn ships, shrunk to a quarter and cut into grey squares ``(N, 1, 8, 8)``.

    What is not a digit, to see what happens to unrelated pictures.
    """
    from sklearn.datasets import load_sample_images

    picture = Image.fromarray(load_sample_images().images[0]).convert("L")
    small = picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32))[None, None]
    squares = torch.nn.functional.unfold(pixels, SIZE, stride=SIZE)[0].T
    return squares.reshape(-1, 1, SIZE, SIZE) / 127.5 - 1

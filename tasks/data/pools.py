"""Pools of labelled images that parts are taken from, and one that keeps them as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from ...benchmark.problem import Pool, draw_index


class LabelledPool(Pool, Protocol):
    """A pool whose parts can be taken by class or by position."""

    @property
    def labels(self) -> Tensor:
        """``(N,)`` classes, in the pool's own order."""
        ...

    def where(self, mask: Tensor) -> Self:
        """Returns the images that a mask ``(N,)`` marks, in order, as a pool."""
        ...

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the images at some positions, as they are, and their labels."""
        ...


class ImagePool(LabelledPool, Protocol):
    """A pool that holds all of its images."""

    @property
    def images(self) -> Tensor:
        """``(N, C, H, W)`` in the model's own range, or bytes."""
        ...


@dataclass(frozen=True)
class BytePool:
    """A pool of bytes, a quarter of what they take as numbers, that are converted batch by batch.

    Attributes:
        images: ``(N, C, H, W)`` bytes, handed out in [-1, 1].
        labels: ``(N,)`` classes.
        mirrored: Whether ``sample`` mirrors every second image on average, as training does; the draw's generator says which.
    """

    images: Tensor
    labels: Tensor
    mirrored: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See ``Pool.sample``."""
        index = draw_index(len(self), size, generator)
        images = from_bytes(self.images[index])
        if self.mirrored:
            turned = torch.rand(size, generator=generator) < 0.5
            images[turned] = images[turned].flip(-1)
        return images, self.labels[index]

    def ordered(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See ``Pool.ordered``; never mirrored."""
        for images, labels in zip(self.images.split(size), self.labels.split(size), strict=True):
            yield from_bytes(images), labels

    def where(self, mask: Tensor) -> BytePool:
        """See ``LabelledPool.where``."""
        return BytePool(self.images[mask], self.labels[mask], self.mirrored)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """See ``LabelledPool.take``; never mirrored."""
        return from_bytes(self.images[index]), self.labels[index]


def from_bytes(images: Tensor) -> Tensor:
    """Returns bytes as numbers in [-1, 1]."""
    return images.float() / 127.5 - 1


def in_range(images: Tensor) -> Tensor:
    """Returns images in [-1, 1], whether they are bytes or in that range already."""
    return from_bytes(images) if images.dtype == torch.uint8 else images


def to_bytes(images: Tensor) -> Tensor:
    """Returns images in [-1, 1] as bytes, rounded as a PNG file would be; bytes stay as they are."""
    if images.dtype == torch.uint8:
        return images
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)

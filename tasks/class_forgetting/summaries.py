"""Features of any number of pictures as far as distances need them: moments of all, and some rows.

Features are in memory a part at a time. Sets of one part, as those of the digits, give the numbers that they give as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from ...benchmark.metrics.frechet import BlockedMoments, FrechetReference, Moments
from ...benchmark.metrics.intervals import GROUPS, Floats
from ..judges.fixed import fixed_features
from ..judges.judge import Extractor

PART = 8000
"""Pictures whose features are in memory at a time: a multiple of a judge's batch, so that they are the same in parts."""
MANIFOLD_IMAGES = 10_000
"""Images whose neighbourhoods are compared, at most: their distances, all with all, must fit into memory."""
KERNEL_IMAGES = 5000
"""Images that a kernel distance compares, at most, for the same reason."""


class Some:
    """All rows of a stream in order, or as many at random where there are more; the same ones in every run.

    Args:
        count: How many rows will come.
        most: How many are kept.
    """

    def __init__(self, count: int, most: int) -> None:
        self._wanted = np.arange(count)
        if count > most:
            self._wanted = np.sort(np.random.default_rng(0).permutation(count)[:most])
        self._kept: list[Floats] = []
        self._seen = 0

    def add(self, rows: Floats) -> None:
        """Takes what is wanted of the next rows, ``(N, D)``."""
        first, last = np.searchsorted(self._wanted, (self._seen, self._seen + len(rows)))
        chosen = self._wanted[first:last] - self._seen
        self._kept.append(rows if len(chosen) == len(rows) else rows[chosen])
        self._seen += len(rows)

    @property
    def rows(self) -> Floats:
        """What is kept."""
        return self._kept[0] if len(self._kept) == 1 else np.concatenate(self._kept)


class Summary:
    """A set of pictures in the features of the distances: some of them, for what compares all with all.

    Args:
        count: How many pictures will come.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kernel, self._manifold = Some(count, KERNEL_IMAGES), Some(count, MANIFOLD_IMAGES)

    def add(self, rows: Floats) -> None:
        """Adds features ``(N, D)``."""
        self._kernel.add(rows)
        self._manifold.add(rows)

    @property
    def kernel(self) -> Floats:
        """The rows for a kernel distance."""
        return self._kernel.rows

    @property
    def manifold(self) -> Floats:
        """The rows whose neighbourhoods are compared."""
        return self._manifold.rows


class Samples(Summary):
    """A set that is held against another, with moments by blocks, for the interval."""

    blocks: BlockedMoments

    def add(self, rows: Floats) -> None:
        """See ``Summary.add``."""
        super().add(rows)
        if not hasattr(self, "blocks"):
            self.blocks = BlockedMoments(rows.shape[1], min(GROUPS, self.count))
        self.blocks.add(rows)


class Reference(Summary):
    """A set that others are held against, with the moments of all."""

    moments: Moments

    def add(self, rows: Floats) -> None:
        """See ``Summary.add``."""
        super().add(rows)
        if not hasattr(self, "moments"):
            self.moments = Moments(rows.shape[1])
        self.moments.add(rows)

    @functools.cached_property
    def frechet(self) -> FrechetReference:
        """One side of Frechet distances, once all is there."""
        return FrechetReference(self.moments)


def fixed_parts(source: Extractor, images: Tensor) -> Iterator[Floats]:
    """Yields the features of pictures that are the same in every run, part by part."""
    for part in images.split(PART):
        yield fixed_features(source, part)

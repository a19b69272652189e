"""Features of any number of images in the memory of a few thousand: moments of all, and a random sample of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..seeds import derive_seed
from . import measures
from .frechet import BlockedMoments, FrechetReference
from .measures import Coverage, Measured

RESERVOIR = 4000
"""Features kept for the kernel distance and the neighbourhood metrics, whose cost grows with the square of their number."""

BLOCKS = 10
"""Blocks that a set is dealt into, for the jackknife: half as many as elsewhere, since each holds a matrix."""


class Reservoir:
    """A uniform random sample, without repetition, of a stream of features (Vitter, 1985, algorithm R).

    What it holds depends on the stream and the seed, not on how the stream is cut into batches.

    Args:
        dimensions: D, the width of a feature vector.
        size: How many vectors are kept.
        seed: Of the choice.
    """

    def __init__(self, dimensions: int, size: int, seed: int) -> None:
        self._kept = np.empty((size, dimensions), dtype=np.float32)
        self._seed = seed
        self._generator = np.random.default_rng(seed)
        self.n = 0

    def add(self, features: NDArray[np.floating]) -> None:
        """Adds features ``(N, D)``."""
        free = max(0, min(len(self._kept) - self.n, len(features)))
        self._kept[self.n : self.n + free] = features[:free]
        rest = features[free:]
        seen = self.n + free + np.arange(1, len(rest) + 1)
        slots = (self._generator.random(len(rest)) * seen).astype(np.intp)
        for row in np.flatnonzero(slots < len(self._kept)):
            self._kept[slots[row]] = rest[row]
        self.n += len(features)

    @property
    def features(self) -> NDArray[np.float32]:
        """What is kept, ``(min(n, size), D)``, in random order, since a stream may be sorted by class."""
        return self._kept[np.random.default_rng(self._seed).permutation(self.kept)]

    @property
    def kept(self) -> int:
        """How many are kept."""
        return min(self.n, len(self._kept))


class FeatureSummary:
    """What distances between sets need to know of one set's features.

    Args:
        dimensions: D, the width of a feature vector.
        purpose: What the set is, from which the seed of the random sample follows, such as ``digits-ddpm retain``.
        reservoir: How many features are kept.
        blocks: Blocks of the jackknife of the Frechet distance.
    """

    def __init__(
        self, dimensions: int, purpose: str = "features", reservoir: int = RESERVOIR, blocks: int = BLOCKS
    ) -> None:
        self.dimensions = dimensions
        self.moments = BlockedMoments(dimensions, blocks)
        self.sample = Reservoir(dimensions, reservoir, derive_seed("reservoir", purpose))

    @property
    def n(self) -> int:
        """How many feature vectors were added."""
        return self.moments.n

    def add(self, features: NDArray[np.floating]) -> None:
        """Adds features ``(N, D)``."""
        self.moments.add(features)
        self.sample.add(features)


def fid(generated: FeatureSummary, reference: FeatureSummary) -> Measured:
    """Returns the Frechet distance of all features with a jackknife interval over the generated set's blocks.

    Whatever their width, it is computed from eigenvalues.
    """
    return measures.fid_of_moments(generated.moments, FrechetReference(reference.moments.total()))


def kid(generated: FeatureSummary, reference: FeatureSummary) -> Measured:
    """Returns the kernel distance of the kept features. See ``measures.kid``."""
    return measures.kid(*(summary.sample.features.astype(np.float64) for summary in (generated, reference)))


def prdc(generated: FeatureSummary, reference: FeatureSummary) -> Coverage:
    """Returns precision, recall, density and coverage of the kept features. See ``measures.prdc``."""
    return measures.prdc(generated.sample.features.astype(np.float64), reference.sample.features.astype(np.float64))

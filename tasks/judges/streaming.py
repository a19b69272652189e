"""Samples in, summary out: features of any number of images in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...benchmark.metrics.streaming import RESERVOIR, FeatureSummary


class FeatureExtractor(Protocol):
    """What maps bytes ``(N, C, H, W)`` to features ``(N, D)``."""

    @property
    def dimensions(self) -> int: ...

    def __call__(self, images: Tensor) -> NDArray[np.floating]: ...


def summarize(
    batches: Iterable[Tensor], extractor: FeatureExtractor, purpose: str = "features", reservoir: int = RESERVOIR
) -> FeatureSummary:
    """Returns the summary of a stream of images, such as ``Sampler.stream`` draws or a stored tensor's ``split``.

    Args:
        batches: Bytes ``(N, C, H, W)`` each.
        extractor: Gives the features.
        purpose: What the images are, which seeds the random sample of their features.
        reservoir: How many features are kept for the metrics that need them.
    """
    summary = FeatureSummary(extractor.dimensions, purpose, reservoir)
    for images in batches:
        summary.add(extractor(images))
    return summary

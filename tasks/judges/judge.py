"""Judges at work: features and labels of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from ...benchmark.measuring.device import CPU
from ...benchmark.metrics.intervals import Floats
from ..data.pools import in_range

BATCH = 500
"""Images that a judge sees at a time."""


class FeatureNetwork(Protocol):
    """What can embed images: a module with one more method."""

    def to(self, device: torch.device, /) -> Self:
        """Moves its weights to a device."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)``."""
        ...


class Classifier(FeatureNetwork, Protocol):
    """What a judge can do."""

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, num_classes)``."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A network that gives features, the hash of its weights, where it is, and how it prepares images."""

    network: FeatureNetwork
    sha256: str
    device: torch.device = CPU
    preparation: str = ""
    """One line, part of the identity of every number; empty where images are taken as they are."""

    def to(self, device: torch.device) -> Self:
        """Moves the network to a device."""
        return self if device == self.device else replace(self, network=self.network.to(device), device=device)


@dataclass(frozen=True)
class Judge(Extractor):
    """An extractor whose network classifies, too."""

    network: Classifier


class Scored(NamedTuple):
    """What one judge says of some images."""

    features: Floats
    labels: Tensor


def score(judge: Judge, images: Tensor) -> Scored:
    """Returns what a judge says of bytes, ``(N, C, H, W)``."""
    found = features(judge, images)
    return Scored(found, labels_of(judge, found))


def labels_of(judge: Judge, found: Floats) -> Tensor:
    """Returns what a judge takes pictures with some features for, ``(N,)``."""
    with torch.inference_mode():
        return judge.network.classify(torch.from_numpy(found).float().to(judge.device)).argmax(1).cpu()


def features(judge: Extractor, images: Tensor) -> Floats:
    """Returns features ``(N, D)``, batch by batch, in double precision. See ``embed``."""
    return np.asarray(embed(judge, images).double().numpy())


def embed(judge: Extractor, images: Tensor) -> Tensor:
    """Returns features ``(N, D)`` as the network gives them, on the host.

    Args:
        judge: What embeds.
        images: ``(N, C, H, W)``, in [-1, 1], or bytes.
    """
    with torch.inference_mode():
        return torch.cat(
            [judge.network.features(in_range(part.to(judge.device))).cpu() for part in images.split(BATCH)]
        )

"""How models are evaluated on CIFAR-10: the suite's own protocol, and that of the papers with its faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.pools import BytePool
from ..data.sets import CIFAR10
from .sampler import Sampler


class EvaluationProtocol(NamedTuple):
    """What is drawn, how, and what it is compared with."""

    sampler: Sampler
    counts: dict[str, int]
    """Samples in each set."""
    oracle_counts: dict[str, int] | None = None
    """Samples of each oracle in the sets that models are compared with; as many as of a model unless given."""
    reference_per_class: int | None = None
    """Real images of a class that samples are compared with; None takes all."""
    faults: tuple[str, ...] = ()
    """Known faults, part of what the task's hash covers."""


@dataclass(frozen=True)
class StretchedSampler(Sampler):
    """A sampler as in the papers' code: nothing is clipped, and each picture is stretched to the whole range of a byte."""

    def describe(self) -> str:
        """See ``Sampler.describe``."""
        return f"{super().describe()}, x0 not clipped, each picture stretched to its full range"

    def to_bytes(self, images: Tensor) -> Tensor:
        """See ``Sampler.to_bytes``."""
        return stretched(images)


def stretched(images: Tensor) -> Tensor:
    """Returns pictures ``(N, C, H, W)`` as bytes, the smallest value of each 0 and the largest 255."""
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return ((images - low) / (high - low).clamp_min(1e-5) * 255).round().to(torch.uint8)


OWN = EvaluationProtocol(
    Sampler(solver="ddim", steps=50, guidance=1.5, batch_size=500),
    {"forget": 2500, "retain": 9000, "null": 2500},
)
TINY = EvaluationProtocol(
    # At 1.5 half of what this network draws is taken for its class by a judge, at 3 seven in ten, and the FID is lower.
    Sampler(solver="ddim", steps=10, guidance=3.0),
    {"forget": 300, "retain": 900, "null": 300},
    oracle_counts={"retain": 450, "null": 150},
    reference_per_class=1000,
)
"""The suite's own in minutes on one CPU core."""
PAPER = EvaluationProtocol(
    StretchedSampler(solver="ddpm", steps=1000, guidance=3.0, batch_size=500, bounded=False),
    {"forget": 500, "retain": 45_000, "null": 500},
    reference_per_class=500,
    faults=(
        "Each picture, drawn or real, is stretched to its full range before it is judged, which hides low contrast.",
        "The Frechet distance has 500 real images a class for 5,000 drawn ones, which biases it upwards.",
        "The 1,000 steps at guidance 3 make the distance one of guidance: a model that was never edited scores badly.",
        "500 samples with the forgotten label: an accuracy of 0 among them still allows 0.8 %.",
        "The papers report one run a class, and a spread over classes in place of one over seeds.",
        "Their released scripts swap precision and recall; here both are named as defined.",
        "Their judge, a ResNet-34 of unknown accuracy, is not here; Inception's features are taken if `distances` says so.",
        "They start from raw weights, here the averaged ones are edited, as everywhere in this suite.",
    ),
)
PROTOCOLS = {"own": OWN, "own-tiny": TINY, "paper": PAPER}
"""By name; a preset's own, where it has one, goes by both."""


def reference(pool: BytePool, protocol: EvaluationProtocol) -> BytePool:
    """Returns the real images that a protocol compares samples with."""
    if protocol.reference_per_class is None:
        return pool
    chosen = torch.zeros(len(pool), dtype=torch.bool)
    for label in range(len(CIFAR10.classes)):
        chosen[(pool.labels == label).nonzero()[: protocol.reference_per_class, 0]] = True
    part = pool.where(chosen)
    # Real images go the way of the drawn ones.
    stretches = isinstance(protocol.sampler, StretchedSampler)
    return BytePool(stretched(part.images.float()) if stretches else part.images, part.labels)

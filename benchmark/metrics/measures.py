"""Metrics over judged samples, each with its interval. They take arrays, so that they work for every task family."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .frechet import BlockedMoments, FrechetReference, Moments, frechet_from_moments, frechet_interval
from .intervals import GROUPS, Floats, Interval, student, wilson
from .kernel import kernel_interval

NEIGHBOURS = 5
"""k of the neighbourhoods of precision, recall, density and coverage (Naeem et al., 2020, use 5)."""


class Computation(NamedTuple):
    """What computes a number, for its identity."""

    name: str
    """Stable: it stays when the code moves."""
    version: int = 1
    """Raised when the same input gives another number."""


PROPORTION = Computation("proportion")
MEAN = Computation("mean")
FRECHET = Computation("frechet-distance")
KERNEL = Computation("kernel-distance")
PRDC = Computation("prdc")
MANIFOLD = Computation("manifold")


class Measured(NamedTuple):
    """A number, its 95 % interval, how many samples it was computed from, and by what."""

    value: float
    interval: Interval
    n: int
    method: str
    by: Computation


class Undefined(NamedTuple):
    """A number that is not defined for what was drawn, such as a distance of too few samples."""

    n: int
    """How many samples there were."""
    by: Computation
    """What would have computed it."""


def proportion(hits: Tensor | NDArray[Any]) -> Measured:
    """Returns the share of true entries with Wilson's interval."""
    successes, n = int(hits.sum()), len(hits)
    return Measured(successes / n, wilson(successes, n), n, "wilson", PROPORTION)


def mean(values: Floats) -> Measured:
    """Returns the mean of values with Student's interval.

    Raises:
        ValueError: There are fewer than two values.
    """
    interval = student(values.tolist())
    if interval is None:
        raise ValueError(f"{len(values)} values have no interval")
    return Measured(float(values.mean()), interval, len(values), "student", MEAN)


def frechet_distance(generated: Floats, reference: Floats) -> float:
    """Returns the Frechet distance between two sets of features, ``(N, D)`` and ``(M, D)``."""
    return frechet_from_moments(Moments.of(generated), Moments.of(reference))


class Manifold:
    """A set of features and the balls around them that reach to the k-th neighbour.

    Args:
        features: ``(N, D)``.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        self.features = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
        # The nearest neighbour of a point within its own set is itself.
        distances = torch.cdist(self.features, self.features)
        self.radii = distances.topk(NEIGHBOURS + 1, largest=False).values[:, -1]

    def covers(self, points: NDArray[np.floating] | Manifold) -> Tensor:
        """Returns ``(len(points), N)``: whether each point lies in each ball."""
        values = points.features if isinstance(points, Manifold) else torch.from_numpy(np.asarray(points, np.float32))
        return torch.cdist(values, self.features) <= self.radii

    def share_outside(self, points: Floats) -> Measured:
        """Returns the share of points that lie in no ball, with Wilson's interval."""
        return proportion(~self.covers(points).any(1))._replace(by=MANIFOLD)


class Reference:
    """A set that others are compared with. What depends on it alone is computed once, when it is first asked for.

    Args:
        features: ``(N, D)``.
    """

    def __init__(self, features: Floats) -> None:
        self.features = features

    @classmethod
    def of(cls, features: Floats | Reference) -> Reference:
        """Returns features as a reference; one stays as it is."""
        return features if isinstance(features, Reference) else cls(features)

    @functools.cached_property
    def frechet(self) -> FrechetReference:
        """One side of Frechet distances."""
        return FrechetReference(Moments.of(self.features))

    @functools.cached_property
    def manifold(self) -> Manifold:
        """The balls around its features."""
        return Manifold(self.features)


def fid(generated: Floats, reference: Floats | Reference) -> Measured:
    """Returns the Frechet distance with a jackknife interval over the generated samples."""
    blocks = BlockedMoments(generated.shape[1], min(GROUPS, len(generated)))
    blocks.add(generated)
    return fid_of_moments(blocks, Reference.of(reference).frechet)


def fid_of_moments(generated: BlockedMoments, reference: FrechetReference) -> Measured:
    """Returns the Frechet distance with a jackknife interval over the generated set's blocks."""
    value, interval = frechet_interval(generated, reference)
    return Measured(value, interval, generated.n, "jackknife", FRECHET)


def kid(generated: Floats, reference: Floats | Reference) -> Measured:
    """Returns the kernel distance with a jackknife interval that leaves out rows of both sets.

    The larger set is cut to the size of the smaller, so neither may be sorted by class.
    """
    others = Reference.of(reference).features
    n = min(len(generated), len(others))
    value, interval = kernel_interval(generated[:n], others[:n])
    return Measured(value, interval, n, "jackknife", KERNEL)


class Coverage(NamedTuple):
    """Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020)."""

    precision: Measured
    recall: Measured
    density: Measured
    coverage: Measured


def prdc(generated: Floats, reference: Floats | Reference) -> Coverage:
    """Returns precision, recall, density and coverage of generated against reference features.

    Precision is the share of generated samples inside a reference ball, recall the share of reference samples inside a
    generated ball, density the mean number of reference balls around a generated sample over k, coverage the share of
    reference balls with a generated sample inside. Intervals of shares are Wilson's, that of density is Student's.
    """
    own, other = Manifold(generated), Reference.of(reference).manifold
    in_reference, in_generated = other.covers(own), own.covers(other)
    counts = in_reference.sum(1).double().numpy() / NEIGHBOURS
    return Coverage(
        precision=proportion(in_reference.any(1))._replace(by=PRDC),
        recall=proportion(in_generated.any(1))._replace(by=PRDC),
        density=mean(counts)._replace(by=PRDC),
        coverage=proportion(in_reference.any(0))._replace(by=PRDC),
    )

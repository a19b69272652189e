"""Metrics over judged samples, each with its interval. They take arrays, so that they work for every task family."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgWarning
from torch import Tensor

from .frechet import FrechetReference, Moments, frechet_from_moments
from .intervals import Floats, Interval, jackknife, student, wilson

NEIGHBOURS = 5
"""k of the neighbourhoods of precision, recall, density and coverage (Naeem et al., 2020, use 5)."""

HEAVY_FEATURES = 512
"""From this width on the Frechet distance is computed from eigenvalues; clean-fid's takes half a minute at 2,048."""


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
    if generated.shape[1] >= HEAVY_FEATURES:
        return frechet_from_moments(Moments.of(generated), Moments.of(reference))
    from cleanfid.fid import frechet_distance as cleanfid_frechet

    with warnings.catch_warnings():
        # clean-fid passes SciPy an argument that is deprecated; the project pins SciPy below the release that drops it.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Collapsed samples have a singular covariance, for which clean-fid adds a small multiple of the identity.
        warnings.simplefilter("ignore", LinAlgWarning)
        warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning, "scipy.linalg")
        moments = [
            f(x) for x in (generated, reference) for f in (lambda x: x.mean(0), lambda x: np.cov(x, rowvar=False))
        ]
        return float(cleanfid_frechet(*moments))


def kernel_distance(generated: Floats, reference: Floats) -> float:
    """Returns clean-fid's kernel distance (unbiased squared MMD, cubic polynomial kernel; Binkowski et al., 2018).

    clean-fid averages over random subsets of equal size. Here the sets have equal size and one subset holds everything,
    which leaves nothing to chance but the order of the sums; NumPy's global generator, which sets it, is lent and put back.

    Raises:
        ValueError: The sets differ in size.
    """
    from cleanfid.fid import kernel_distance as cleanfid_kernel

    if len(generated) != len(reference):
        raise ValueError(f"{len(generated)} generated and {len(reference)} reference samples")
    state = np.random.get_state()
    try:
        np.random.seed(0)
        return float(cleanfid_kernel(generated, reference, num_subsets=1, max_subset_size=len(generated)))
    finally:
        np.random.set_state(state)


def fid(generated: Floats, reference: Floats) -> Measured:
    """Returns the Frechet distance with a jackknife interval over the generated samples."""

    def distance(rows: NDArray[np.intp] | slice) -> float:
        if factored is None:
            return frechet_distance(generated[rows], reference)
        return factored.distance(Moments.of(generated[rows]))

    heavy = generated.shape[1] >= HEAVY_FEATURES
    factored = FrechetReference(Moments.of(reference)) if heavy else None
    interval = jackknife(distance, len(generated))
    return Measured(distance(slice(None)), interval, len(generated), "jackknife", FRECHET)


def kid(generated: Floats, reference: Floats) -> Measured:
    """Returns the kernel distance with a jackknife interval that leaves out rows of both sets.

    The larger set is cut to the size of the smaller, so neither may be sorted by class.
    """
    n = min(len(generated), len(reference))
    pairs = generated[:n], reference[:n]
    interval = jackknife(lambda rows: kernel_distance(pairs[0][rows], pairs[1][rows]), n)
    return Measured(kernel_distance(*pairs), interval, n, "jackknife", KERNEL)


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

    def covers(self, points: NDArray[np.floating]) -> Tensor:
        """Returns ``(len(points), N)``: whether each point lies in each ball."""
        values = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
        return torch.cdist(values, self.features) <= self.radii

    def share_outside(self, points: Floats) -> Measured:
        """Returns the share of points that lie in no ball, with Wilson's interval."""
        return proportion(~self.covers(points).any(1))._replace(by=MANIFOLD)


class Coverage(NamedTuple):
    """Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020)."""

    precision: Measured
    recall: Measured
    density: Measured
    coverage: Measured


def prdc(generated: Floats, reference: Floats) -> Coverage:
    """Returns precision, recall, density and coverage of generated against reference features.

    Precision is the share of generated samples inside a reference ball, recall the share of reference samples inside a
    generated ball, density the mean number of reference balls around a generated sample over k, coverage the share of
    reference balls with a generated sample inside. Intervals of shares are Wilson's, that of density is Student's.
    """
    in_reference = Manifold(reference).covers(generated)
    in_generated = Manifold(generated).covers(reference)
    counts = in_reference.sum(1).double().numpy() / NEIGHBOURS
    return Coverage(
        precision=proportion(in_reference.any(1))._replace(by=PRDC),
        recall=proportion(in_generated.any(1))._replace(by=PRDC),
        density=mean(counts)._replace(by=PRDC),
        coverage=proportion(in_reference.any(0))._replace(by=PRDC),
    )

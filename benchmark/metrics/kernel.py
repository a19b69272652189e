"""The kernel distance from sums over groups of rows, so that a jackknife takes one pass over the kernel.

The unbiased squared maximum mean discrepancy with a cubic polynomial kernel (Binkowski et al., 2018), as clean-fid's
function computes it on one subset that holds everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .intervals import GROUPS, Floats, Interval, jackknife_interval

ROWS_AT_ONCE = 1000
"""Rows of the kernel in memory at a time."""


def kernel_distance(generated: Floats, reference: Floats) -> float:
    """Returns the kernel distance between two sets of features, both ``(N, D)``.

    Raises:
        ValueError: The sets differ in size, or hold one sample.
    """
    return _Sums(generated, reference, 1).distance(np.ones(1, dtype=bool))


def kernel_interval(generated: Floats, reference: Floats) -> tuple[float, Interval]:
    """Returns the kernel distance and the interval of a jackknife that leaves out the same rows of both sets.

    Rows are dealt into the groups in turn, so neither set may be sorted by class.

    Raises:
        ValueError: The sets differ in size, or hold fewer than three samples.
    """
    groups = min(GROUPS, len(generated))
    if groups < 3:
        raise ValueError(f"{len(generated)} samples are too few for an interval")
    sums = _Sums(generated, reference, groups)
    value = sums.distance(np.ones(groups, dtype=bool))
    return value, jackknife_interval(value, [sums.distance(np.arange(groups) != group) for group in range(groups)])


class _Sums:
    """The kernel's sums over every pair of groups: within the sets, without a sample's with itself, and across them."""

    def __init__(self, generated: Floats, reference: Floats, groups: int) -> None:
        if len(generated) != len(reference):
            raise ValueError(f"{len(generated)} generated and {len(reference)} reference samples")
        group = np.arange(len(generated)) % groups
        self._sizes = np.bincount(group, minlength=groups)
        self._within = _grouped(generated, generated, group, groups) + _grouped(reference, reference, group, groups)
        self._across = _grouped(generated, reference, group, groups)

    def distance(self, kept: NDArray[np.bool_]) -> float:
        """Returns the distance of the rows of some groups."""
        count = int(self._sizes[kept].sum())
        if count < 2:
            raise ValueError(f"the kernel distance of {count} samples is not defined")
        inside, across = (float(sums[np.ix_(kept, kept)].sum()) for sums in (self._within, self._across))
        return (inside / (count - 1) - 2 * across / count) / count


def _grouped(x: Floats, y: Floats, group: NDArray[np.intp], groups: int) -> Floats:
    """Returns the sums ``(groups, groups)`` of the kernel between two sets; a set's samples do not count with themselves."""
    member = np.asarray(group == np.arange(groups)[:, None], dtype=np.float64)
    sums = np.zeros((groups, groups))
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        kernel = (x[rows] @ y.T / x.shape[1] + 1) ** 3
        if x is y:
            kernel[np.arange(len(kernel)), np.arange(start, start + len(kernel))] = 0.0
        sums += member[:, rows] @ kernel @ member.T
    return sums

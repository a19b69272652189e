"""Intervals and tests, with NumPy and SciPy alone. Every one of them is checked against a closed form by the tests.

Distributions come from ``scipy.special``: loading ``scipy.stats`` would take half a second at the start of every run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEVEL = 0.95
GROUPS = 20
"""Groups of rows that a jackknife leaves out in turn."""

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Returns Wilson's score interval of a proportion (Wilson, 1927).

    Raises:
        ValueError: There is no trial, or more successes than trials.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes in {n} trials")
    z = float(special.ndtri(0.5 + level / 2))
    share = successes / n
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    # Exactly, since both ends are found with rounding errors.
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def student(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Returns Student's interval of a mean, or None for fewer than two values."""
    if len(values) < 2:
        return None
    half = float(np.std(values, ddof=1)) / math.sqrt(len(values)) * _t_quantile(level, len(values) - 1)
    mean = float(np.mean(values))
    return Interval(mean - half, mean + half)


def welch(first: Floats, second: Floats, level: float = LEVEL) -> Interval:
    """Returns Welch's interval of the difference of two means, of values with different variances (Welch, 1947).

    Args:
        first: ``(N,)``, two values or more.
        second: ``(M,)``, two values or more.
        level: The coverage.
    """
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    error = math.sqrt(sum(parts))
    difference = float(np.mean(first) - np.mean(second))
    if error == 0.0:
        return Interval(difference, difference)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = error * float(special.stdtrit(freedom, 0.5 + level / 2))
    return Interval(difference - half, difference + half)


def jackknife(
    statistic: Callable[[NDArray[np.intp]], float], n: int, groups: int = GROUPS, level: float = LEVEL
) -> Interval:
    """Returns the delete-a-group jackknife interval of a statistic (Efron and Tibshirani, 1993, section 11.5).

    Unlike the bootstrap it never repeats a sample, which would bias a Frechet distance or a kernel distance.

    Args:
        statistic: Computes the number from the rows with the given indices.
        n: How many rows there are. They are dealt into the groups in turn, so their order should carry no pattern of
            that period.
        groups: How many groups are left out in turn.
        level: The coverage.
    """
    groups = min(groups, n)
    rows = np.arange(n)
    left_out = [statistic(rows[rows % groups != group]) for group in range(groups)]
    return jackknife_interval(statistic(rows), left_out, level)


def jackknife_interval(centre: float, left_out: Sequence[float], level: float = LEVEL) -> Interval:
    """Returns the interval of ``jackknife`` from the statistic of all rows and its values with each group left out."""
    groups, values = len(left_out), np.asarray(left_out)
    error = np.sqrt((groups - 1) / groups * np.sum((values - values.mean()) ** 2))
    half = float(error) * _t_quantile(level, groups - 1)
    return Interval(centre - half, centre + half)


def cluster_bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    clusters: NDArray[np.int64],
    draws: int = 1000,
    level: float = LEVEL,
) -> Interval:
    """Returns the percentile interval of a statistic of rows that come in clusters, such as the pictures of a class.

    Clusters are drawn with repetition, then rows within each (Davison and Hinkley, 1997, section 3.8), so that the
    interval speaks of other classes, too. For statistics that repeated rows do not bias, such as means.

    Args:
        statistic: Computes the number from the rows with the given indices.
        clusters: ``(N,)``, the cluster of each row.
        draws: How many times both are drawn, always the same way.
        level: The coverage.
    """
    values = [statistic(rows) for rows in _clustered_draws(clusters.tobytes(), draws)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


@functools.lru_cache(maxsize=8)
def _clustered_draws(clusters: bytes, draws: int) -> list[NDArray[np.intp]]:
    """The same draws for every statistic of the same rows, which also pairs their errors."""
    names = np.frombuffer(clusters, dtype=np.int64)
    generator = np.random.default_rng(0)
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    found = []
    for _ in range(draws):
        chosen = [members[index] for index in generator.integers(len(members), size=len(members))]
        found.append(np.concatenate([rows[generator.integers(len(rows), size=len(rows))] for rows in chosen]))
    return found


@functools.cache
def _t_quantile(level: float, freedom: int) -> float:
    return float(special.stdtrit(freedom, 0.5 + level / 2))

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


def jackknife(
    statistic: Callable[[NDArray[np.intp]], float], n: int, groups: int = 20, level: float = LEVEL
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


def bootstrap_mean(values: Sequence[float], draws: int = 2000, level: float = LEVEL) -> Interval | None:
    """Returns the bootstrap interval of a mean of few values, or None for fewer than two.

    Three values have only ten means when drawn with repetition, all within their range, so that the plain percentile
    interval covers the truth three times in four. Here every drawn value is smoothed so that its variance is the
    unbiased one (Hesterberg, 2004, "Unbiasing the bootstrap"), and the percentiles are widened by the ratio of Student's
    to the normal quantile (Hesterberg, 2015, "What teachers should know about the bootstrap"). Normal values give
    Student's interval, skewed ones a skewed interval, and many values the plain bootstrap's.

    Args:
        values: What the mean is of, such as the paired differences of two methods.
        draws: How often the values are drawn, always the same way; each draw counts once with its smoothing added and
            once with it taken off, so that the values with their signs turned give the interval turned.
        level: The coverage.
    """
    n = len(values)
    if n < 2:
        return None
    given = np.asarray(values, dtype=float)
    mean, deviation = float(given.mean()), float(given.std(ddof=1))
    rows, noise = _draws_of(n, draws)
    drawn = (given - mean)[rows].mean(axis=1)
    smoothing = noise * (deviation / n)
    low, high = np.quantile(np.concatenate([drawn + smoothing, drawn - smoothing]), [(1 - level) / 2, (1 + level) / 2])
    widened = _t_quantile(level, n - 1) / float(special.ndtri(0.5 + level / 2))
    return Interval(mean + widened * float(low), mean + widened * float(high))


@functools.lru_cache(maxsize=8)
def _draws_of(n: int, draws: int) -> tuple[NDArray[np.int64], Floats]:
    """Which of ``n`` values each draw takes, and its smoothing in units of the deviation over ``n``."""
    generator = np.random.default_rng(0)
    return generator.integers(n, size=(draws, n)), generator.standard_normal(draws)


def seeds_to_separate(
    mean: float, deviation: float, significance: float, power: float = 0.8, most: int = 100
) -> int | None:
    """Returns the fewest seeds with which Student's paired test finds a difference, or None for more than ``most``.

    Args:
        mean: The true mean of the paired differences.
        deviation: Their true standard deviation over seeds.
        significance: The level of the two-sided test.
        power: How often the test is to find it.
        most: The largest number of seeds that is tried.
    """
    if mean == 0.0:
        return None
    if deviation == 0.0:
        return 2
    counts = np.arange(2, most + 1)
    shift = abs(mean) / deviation * np.sqrt(counts)
    needed = special.stdtrit(counts - 1, 1 - significance / 2)
    # SciPy's lower tail is undefined where it is too small to matter.
    wrong_side = np.nan_to_num(special.nctdtr(counts - 1, shift, -needed))
    found = 1 - special.nctdtr(counts - 1, shift, needed) + wrong_side
    enough = np.flatnonzero(found >= power)
    return int(counts[enough[0]]) if len(enough) else None


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Returns the two-sided p-value of Student's paired test that two methods score the same on shared seeds.

    Equal differences that are not zero have p = 0, differences that are all zero or a single pair p = 1.
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    if len(difference) < 2 or not difference.any():
        return 1.0
    if np.ptp(difference) <= 1e-12 * np.abs(difference).max():
        return 0.0
    # SciPy's `ttest_1samp` takes a millisecond, and a board of a few hundred rows asks for tens of thousands.
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference)))
    return float(2 * special.stdtr(len(difference) - 1, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns Holm's adjusted p-values (Holm, 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return [float(p) for p in adjusted]


@functools.cache
def _t_quantile(level: float, freedom: int) -> float:
    return float(special.stdtrit(freedom, 0.5 + level / 2))

"""Tests and intervals of differences between methods. Every one of them is checked against a closed form by the tests."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..benchmark.metrics.intervals import LEVEL, Floats, Interval, _t_quantile


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
    """Returns the two-sided p-value of Student's paired test that two methods score the same on shared runs.

    Equal differences that are not zero have p = 0, differences that are all zero or a single pair p = 1.
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    return float(paired_p_values(difference[None])[0])


def paired_p_values(differences: Floats) -> Floats:
    """Returns the same for many pairs at once: a board of a few hundred rows asks for tens of thousands.

    Args:
        differences: ``(N, K)``, of N pairs of methods on K shared runs.
    """
    count = differences.shape[1]
    if count < 2:
        return np.ones(len(differences))
    largest = np.abs(differences).max(axis=1)
    steady = np.ptp(differences, axis=1) <= 1e-12 * largest
    with np.errstate(divide="ignore", invalid="ignore"):
        t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(count))
    p_values: Floats = 2 * special.stdtr(count - 1, -np.abs(t))
    return np.where(largest == 0.0, 1.0, np.where(steady, 0.0, p_values))


def holm(p_values: Sequence[float] | Floats) -> list[float]:
    """Returns Holm's adjusted p-values (Holm, 1979), in the order given."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.arange(len(given), 0, -1) * given[order]))
    return [float(p) for p in adjusted]

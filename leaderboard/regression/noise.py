"""How far a metric jitters from seed to seed, estimated from few seeds with the help of many other runs.

Three seeds say little about a variance. What they say is combined with what the committed records say of the same metric:
the ratio of the variance between seeds to the sampling variance that a record's own interval gives. This is the moderated
variance of Smyth (2004, "Linear models and empirical Bayes methods for assessing differential expression"): a metric whose
ratio is much the same in all rows lends many degrees of freedom, one whose ratio scatters lends hardly any.

``python -m unlearnbench.docs.make.guarding`` writes ``noise.json`` anew from the committed records.
"""

from __future__ import annotations

import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from ...benchmark.metrics.intervals import LEVEL
from ...benchmark.records.record import Metric

ON_FILE = Path(__file__).parent / "noise.json"
MOST_FREEDOM = 100.0
"""Of a prior: beyond it a quantile of Student's t hardly moves."""
FEWEST_ROWS = 5
"""Rows that a prior is fitted to at least."""
_Z = float(stats.norm.ppf(0.5 + LEVEL / 2))


class Prior(NamedTuple):
    """What other runs say of the variance between seeds."""

    ratio: float
    """Variance between seeds over the sampling variance of one run."""
    freedom: float
    """How many degrees of freedom it is worth; 0 if it says nothing."""


NOTHING = Prior(1.0, 0.0)


class Moderated(NamedTuple):
    """A variance with the degrees of freedom behind it."""

    variance: float
    freedom: float


def sampling_variance(metrics: Sequence[Metric]) -> float:
    """Returns the mean variance that the intervals of some metrics leave, 0 where there is none."""
    halves = [(m.ci_high - m.ci_low) / 2 / _Z for m in metrics if m.ci_low is not None and m.ci_high is not None]
    return float(np.mean(np.square(halves))) if halves else 0.0


def moderate(variance: float, freedom: float, sampling: float, prior: Prior) -> Moderated:
    """Combines an estimated variance with a prior.

    Args:
        variance: Estimated between seeds.
        freedom: Its degrees of freedom.
        sampling: The sampling variance of one run, in the same units; without one there is no prior.
        prior: What other runs say.
    """
    borrowed = prior.freedom if sampling > 0 else 0.0
    total = freedom + borrowed
    if total == 0:
        return Moderated(math.inf, 1.0)
    return Moderated((freedom * variance + borrowed * prior.ratio * sampling) / total, total)


def fit(ratios: Sequence[float], freedom: int) -> Prior:
    """Fits a scaled F distribution to ratios of variances by the moments of their logarithms (Smyth, 2004, section 6.2).

    Args:
        ratios: Of estimated variances to sampling variances, one a row.
        freedom: Degrees of freedom of each estimate.
    """
    found = np.asarray([ratio for ratio in ratios if ratio > 0])
    if len(found) < FEWEST_ROWS:
        return NOTHING
    half = freedom / 2
    logs = np.log(found) - special.digamma(half) + math.log(half)
    excess = float(logs.var(ddof=1) - special.polygamma(1, half))
    prior_half = _inverse_trigamma(excess) if excess > 0 else MOST_FREEDOM / 2
    prior_half = min(prior_half, MOST_FREEDOM / 2)
    ratio = math.exp(float(logs.mean()) + float(special.digamma(prior_half)) - math.log(prior_half))
    return Prior(ratio, 2 * prior_half)


def fit_all(rows: Iterable[tuple[str, float, float]], freedom: int) -> dict[str, Prior]:
    """Fits a prior for every metric.

    Args:
        rows: Metric, variance between seeds, sampling variance.
        freedom: Degrees of freedom of each variance between seeds.
    """
    ratios: dict[str, list[float]] = defaultdict(list)
    for metric, between, within in rows:
        if within > 0:
            ratios[metric].append(between / within)
    return {metric: fit(found, freedom) for metric, found in sorted(ratios.items())}


@functools.cache
def priors() -> dict[str, Prior]:
    """Returns what the committed records say, by metric."""
    found = json.loads(ON_FILE.read_text())
    return {name: Prior(**prior) for name, prior in found["metrics"].items()}


def prior_for(metric: str) -> Prior:
    """Returns what the committed records say of a metric, or a prior that says nothing."""
    return priors().get(metric, NOTHING)


def _inverse_trigamma(value: float) -> float:
    """Newton's iteration of Smyth (2004, appendix), which converges from below for every positive value."""
    found = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, found))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, found))
        found += step
        if -step / found < 1e-8:
            break
    return found

"""How much worse a metric got, and how sure that is: the statistics under ``regress.py``, without any verdict."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from ...benchmark.metrics.intervals import Floats
from ...benchmark.records.record import Identity, Metric, Record, Status
from .margins import Measure, Target
from .noise import Moderated, Prior, moderate, sampling_variance
from .pairing import PairedRow

ALPHA = 0.01
"""Chance that anything at all of an unchanged comparison is called a regression. Half of the promised 2 %, since noise is
not quite normal."""
BOUND = 0.025
"""Chance that a metric that is worse by its margin is called fine: the error of each end of a 95 % interval."""
POWER = 0.975
"""Chance to call a loss that can be seen significant; what is left of it and of ``BOUND`` is under the promised 5 %."""

Key = tuple[str, str, str | None, Identity]
"""Task, metric, judge, and what it was measured with."""


class Loss(NamedTuple):
    """How much worse a metric got, with both bounds."""

    mean: float
    errors: tuple[Moderated, ...]
    """The variances of the mean, each with its degrees of freedom; none if the runs are the same to the last digit."""

    def p_value(self) -> float:
        """Returns the one-sided p-value that nothing got worse."""
        if not self.errors:
            return 1.0
        return min(1.0, len(self.errors) * min(_tail(self.mean, error) for error in self.errors))

    def bounds(self) -> tuple[float, float]:
        """Returns the 95 % interval."""
        halves = [_quantile(BOUND / len(self.errors), error) for error in self.errors]
        half = min(halves, default=0.0)
        return self.mean - half, self.mean + half

    def detectable(self, tests: int) -> float:
        """Returns the loss that is called significant with 97.5 % among so many tests."""
        return min((detectable(error, len(self.errors), tests) for error in self.errors), default=0.0)


def detectable(error: Moderated, bounds: int, tests: int) -> float:
    """Returns the loss that one of some bounds calls significant with 97.5 % among so many tests.

    The power of a t-test is that of the noncentral distribution; with few degrees of freedom it takes much more than the sum
    of two quantiles.
    """
    if error.variance == 0 or not math.isfinite(error.variance):
        return error.variance
    critical = _student_quantile(ALPHA / (bounds * tests), error.freedom)
    return float(special.nctdtrinc(error.freedom, 1 - POWER, critical)) * math.sqrt(error.variance)


class Series(NamedTuple):
    """A metric as badness in units of its margin's kind, averaged over judges, one value a shared seed."""

    before: Floats
    now: Floats
    sampling: float
    """The sampling variance of one run."""
    baseline: float
    """The metric's own mean before."""
    current: float


def series(pair: PairedRow, measure: Measure, targets: Mapping[Key, Target]) -> Series | str | None:
    """Returns a metric of a pair as series, or why it cannot be compared; None if neither side has it."""
    sides = [[_by_judge(record, measure.metric) for record in side] for side in zip(*pair.finished, strict=True)]
    judges = sides[0][0].keys()
    if any(found.keys() != judges for side in sides for found in side):
        return f"{measure.metric} is not defined in all runs by the same judges."
    found, values, sampling = [], [], []
    for judge in judges:
        old, new = ([metrics[judge] for metrics in side] for side in sides)
        for a, b in zip(old, new, strict=True):
            if a.identity != b.identity:
                return f"{measure.metric} was measured with another {_difference(a.identity, b.identity)}."
        target = targets.get((pair.finished[0][0].task.sha256, measure.metric, judge, old[0].identity))
        if measure.needs_target and target is None:
            command = pair.finished[0][0].task.run_command("oracle")
            return f"{measure.metric} is held against the oracle; add its records to the baseline: `{command}`."
        before, now = (np.asarray([_value(metric) for metric in side]) for side in (old, new))
        scale = abs(float(before.mean())) if measure.margin.relative else 1.0
        if scale == 0.0:
            return f"{measure.metric} is 0 in the baseline, and its margin is a share of that."
        found.append([[measure.badness(float(value), target) / scale for value in side] for side in (before, now)])
        values.append((before.mean(), now.mean()))
        sampling.append(sampling_variance([*old, *new]) / scale**2)
    if not found:
        return None
    before, now = np.mean(found, axis=0)
    return Series(before, now, float(np.mean(sampling)), *(float(mean) for mean in np.mean(values, axis=0)))


def no_longer_defined(pair: PairedRow, metric: str) -> list[int]:
    """Returns the seeds in which a judge's number was defined before and is null now: nothing is worse than that."""
    return [
        old.seed
        for old, new in pair.finished
        if any((one := overall(new).get((metric, judge))) and one.value is None for judge in _by_judge(old, metric))
    ]


def paired_loss(found: Series, prior: Prior) -> Loss:
    """Returns the mean loss over seeds with its paired and its pooled variance.

    Args:
        found: The metric, before and now.
        prior: What other runs say of its variance.
    """
    n, losses = len(found.before), found.now - found.before
    errors, pooled = [], 0.0
    if n > 1:
        pooled = (_scatter(found.before) + _scatter(found.now)) / 2
        # Equal losses come from rounding or saturation and say nothing of their scatter.
        if scatter := _scatter(losses):
            errors.append(Moderated(scatter / n, n - 1))
    moderated = moderate(pooled or found.sampling, 2 * (n - 1), found.sampling, prior)
    errors.append(Moderated(2 * moderated.variance / n, moderated.freedom))
    return Loss(float(losses.mean()), tuple(errors))


def _scatter(values: Floats) -> float:
    """The variance between seeds, without what the arithmetic leaves of equal values."""
    return float(values.var(ddof=1)) if np.ptp(values) > 1e-9 * np.abs(values).max() else 0.0


def _tail(mean: float, error: Moderated) -> float:
    if error.variance == 0:
        return 0.0 if mean > 0 else 1.0
    if not math.isfinite(error.variance):
        return 1.0
    return float(special.stdtr(error.freedom, -mean / math.sqrt(error.variance)))


def _quantile(tail: float, error: Moderated) -> float:
    if not math.isfinite(error.variance):
        return math.inf
    return _student_quantile(tail, error.freedom) * math.sqrt(error.variance)


def _student_quantile(tail: float, freedom: float) -> float:
    """SciPy's special functions, which take a hundredth of the time of its distributions."""
    return -float(special.stdtrit(freedom, tail))


def targets_of(records: Sequence[Record]) -> dict[Key, Target]:
    """Returns the oracles' and the originals' mean values; of a seed that occurs twice, the record named last counts."""
    oracles, originals = (_means(records, name) for name in ("oracle", "original"))
    return {key: Target(value, originals.get(key)) for key, value in oracles.items()}


def _means(records: Sequence[Record], name: str) -> dict[Key, float]:
    found: dict[Key, dict[int, float]] = defaultdict(dict)
    for record in records:
        if record.method.name != name or record.status is not Status.OK:
            continue
        for metric in overall(record).values():
            if metric.value is not None:
                key = record.task.sha256, metric.name, metric.judge, metric.identity
                found[key][record.seed] = metric.value
    return {key: float(np.mean(list(values.values()))) for key, values in found.items()}


def overall(record: Record) -> dict[tuple[str, str | None], Metric]:
    """Returns a record's metrics by name and judge, without those that have one value a class."""
    return {(name, judge): metric for (name, judge, label), metric in record.metrics_by_key().items() if label is None}


def _by_judge(record: Record, name: str) -> dict[str | None, Metric]:
    return {
        judge: metric
        for (known, judge), metric in overall(record).items()
        if known == name and metric.value is not None
    }


def _value(metric: Metric) -> float:
    assert metric.value is not None
    return metric.value


def _difference(old: Identity, new: Identity) -> str:
    shown = {"name": "computation", "version": "version of the computation", "weights_sha256": "judge's weights"}
    names = [name for name in type(old).model_fields if getattr(old, name) != getattr(new, name)]
    return " and ".join(shown.get(name, name.removesuffix("_sha256")) for name in names)

"""Whether a method got worse than a baseline: quality by non-inferiority, with a margin for every metric.

For every metric the loss is how much worse a run got than the baseline's run of the same seed, averaged over judges. Two
bounds look at it, and each gets half of the error that is allowed:

- the *paired* one takes the scatter of the losses themselves; it is sharp where runs repeat nearly exactly, as on another
  machine, and weak with few seeds otherwise;
- the *pooled* one takes the scatter between seeds on both sides, moderated by that of the committed records
  (``noise.py``), as if the two sides shared nothing.

A metric is ``fine`` if the loss's upper bound is below the margin, else a ``regression`` if the loss is above zero after
Holm's correction over all rows and metrics, else ``inconclusive``.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
from scipy import special

from ..benchmark.errors import BenchmarkError
from ..benchmark.record import Identity, Metric, Record, Status
from ..benchmark.statistics import Floats, holm
from ..benchmark.store import load_records
from .cost_regression import COST_METRICS, cost_findings
from .margins import Measure, as_margin, check_margins, measures
from .noise import Moderated, Prior, moderate, prior_for, sampling_variance
from .pairing import Pair, pair_runs, run_findings
from .verdicts import Finding, Verdict, Verdicts

ALPHA = 0.01
"""Chance that anything at all of an unchanged comparison is called a regression. Half of the promised 2 %, since noise is
not quite normal."""
BOUND = 0.025
"""Chance that a metric that is worse by its margin is called fine: the error of each end of a 95 % interval."""
POWER = 0.975
"""Chance to call a loss that can be seen significant; what is left of it and of ``BOUND`` is under the promised 5 %."""

CostMode = Literal["auto", "required", "off"]


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


class _Cell(NamedTuple):
    pair: Pair
    measure: Measure
    loss: Loss
    baseline: float
    current: float
    seeds: int


def detectable(error: Moderated, bounds: int, tests: int) -> float:
    """Returns the loss that one of some bounds calls significant with 97.5 % among so many tests.

    The power of a t-test is that of the noncentral distribution; with few degrees of freedom it takes much more than the sum
    of two quantiles.
    """
    if error.variance == 0 or not math.isfinite(error.variance):
        return error.variance
    critical = _student_quantile(ALPHA / (bounds * tests), error.freedom)
    return float(special.nctdtrinc(error.freedom, 1 - POWER, critical)) * math.sqrt(error.variance)


def compare(
    baseline: Sequence[Record],
    current: Sequence[Record],
    *,
    references: Iterable[Record] = (),
    margins: Mapping[str, float] | None = None,
    cost: CostMode = "auto",
    same_device: bool = False,
    partial: bool = False,
) -> Verdicts:
    """Compares records with those of a baseline.

    Args:
        baseline: How it was.
        current: How it is.
        references: More records to take an oracle's numbers from, where the baseline has none.
        margins: Margins to use instead of the defaults, by metric.
        cost: Whether time is judged where it can be, has to be, or is not.
        same_device: Whether another device than the baseline's is not comparable at all.
        partial: Whether rows of the baseline that were not run now are left out.

    Raises:
        BenchmarkError: A margin is not positive, or for something that is not there.
    """
    paired = pair_runs(baseline, current, partial)
    findings, notes, cells = list(paired.findings), list(paired.notes), list[_Cell]()
    targets = oracle_values([*references, *baseline])
    known = set(COST_METRICS)
    for pair in paired.pairs:
        if same_device and not pair.same_device:
            findings.append(pair.finding("runs", Verdict.NOT_COMPARABLE, f"the device differs: {pair.device}."))
            continue
        findings += run_findings(pair)
        notes += _pair_notes(pair)
        found, unfit, names = _cells(pair, targets, margins or {})
        cells, findings, known = cells + found, findings + unfit, known | names
    if paired.pairs:
        check_margins(margins or {}, known)
    findings += _judged(cells)
    findings += cost_findings([p for p in paired.pairs if p.same_device or not same_device], margins or {}, cost)
    return Verdicts(sorted(findings, key=lambda finding: (finding.row, finding.device)), notes)


def compare_folders(
    baseline: Path,
    current: Path,
    references: Path | None = None,
    *,
    margins: Mapping[str, object],
    cost: str = "auto",
    same_device: bool = False,
    partial: bool = False,
) -> Verdicts:
    """Compares two folders of records; see ``compare``.

    Args:
        baseline: How it was.
        current: How it is.
        references: A results folder to take oracles from, where the baseline has none.
        margins: Margins to use instead of the defaults, by metric.
        cost: See ``compare``.
        same_device: See ``compare``.
        partial: See ``compare``.

    Raises:
        BenchmarkError: A folder does not exist, a file in it is no record, or a margin or ``cost`` is not valid.
    """
    if cost not in get_args(CostMode):
        raise BenchmarkError(f"--cost cannot be '{cost}'; choose {', '.join(get_args(CostMode))}.")
    before, now = load_records([baseline]), load_records([current])
    # A file that cannot be read may be the very run that got worse.
    for problem in before.problems + now.problems:
        raise BenchmarkError(problem)
    tasks = {record.task.name for record in before.records}
    oracles = [references / task / "oracle" for task in sorted(tasks)] if references else []
    return compare(
        before.records,
        now.records,
        references=load_records([folder for folder in oracles if folder.is_dir()]).records,
        margins={name: as_margin(name, value) for name, value in margins.items()},
        cost=cast(CostMode, cost),
        same_device=same_device,
        partial=partial,
    )


def _cells(
    pair: Pair, targets: Mapping[Key, float], margins: Mapping[str, float]
) -> tuple[list[_Cell], list[Finding], set[str]]:
    """What can be tested of a row, what cannot, and the names of all that is guarded."""
    runs = pair.finished
    if not runs:
        return [], [], set(margins)
    first = runs[0][0]
    directions = {key[0]: metric.direction for run in runs for record in run for key, metric in overall(record).items()}
    guarded = measures(first.task.family, directions, margins)
    cells, unfit = [], list[Finding]()
    same = all(a.metrics == b.metrics for a, b in runs)
    for measure in guarded:
        found = series(pair, measure, targets)
        if isinstance(found, str):
            unfit.append(pair.finding(measure.metric, Verdict.NOT_COMPARABLE, found))
        elif found is not None:
            loss = Loss(0.0, ()) if same else paired_loss(found, prior_for(measure.metric))
            cells.append(_Cell(pair, measure, loss, found.baseline, found.current, len(runs)))
    if not guarded:
        unfit.append(pair.finding("runs", Verdict.NOT_COMPARABLE, "no metric of it has a direction."))
    return cells, unfit, {measure.metric for measure in guarded}


class Series(NamedTuple):
    """A metric as badness in units of its margin's kind, averaged over judges, one value a shared seed."""

    before: Floats
    now: Floats
    sampling: float
    """The sampling variance of one run."""
    baseline: float
    """The metric's own mean before."""
    current: float


def series(pair: Pair, measure: Measure, targets: Mapping[Key, float]) -> Series | str | None:
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
        if measure.worse == "off target" and target is None:
            task = pair.row.task
            return f"{measure.metric} is held against the oracle; add its records: `unlearnbench run {task} oracle`."
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


def _judged(cells: Sequence[_Cell]) -> list[Finding]:
    if not cells:
        return []
    adjusted = holm([cell.loss.p_value() for cell in cells])
    return [_finding(cell, p, len(cells)) for cell, p in zip(cells, adjusted, strict=True)]


def _finding(cell: _Cell, p_value: float, tests: int) -> Finding:
    low, high = cell.loss.bounds()
    margin = cell.measure.margin.value
    # A loss of exactly the margin is not below it, whatever the arithmetic makes of its last digit.
    if high < margin * (1 - 1e-9):
        verdict = Verdict.FINE
    elif p_value < ALPHA and cell.loss.mean > 0:
        verdict = Verdict.REGRESSION
    else:
        verdict = Verdict.INCONCLUSIVE
    needed = cell.loss.detectable(tests)
    return Finding(
        cell.pair.row,
        cell.pair.device,
        cell.measure.metric,
        verdict,
        _sentence(cell, verdict, needed),
        cell.seeds,
        cell.baseline,
        cell.current,
        cell.loss.mean,
        _finite(low),
        _finite(high),
        margin,
        p_value,
        _finite(needed),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sentence(cell: _Cell, verdict: Verdict, needed: float) -> str:
    def amount(value: float) -> str:
        if not math.isfinite(value):
            return "unbounded"
        return f"{value:.1%}" if cell.measure.margin.relative else f"{value:.4f}"

    low, high = cell.loss.bounds()
    moved = f"{cell.measure.metric} went from {cell.baseline:.4g} to {cell.current:.4g}"
    if not cell.loss.errors:
        return f"{moved}, the same to the last digit."
    text = f"{moved}, a loss of {amount(cell.loss.mean)} ({amount(low)} to {amount(high)})"
    text += f" against a margin of {cell.measure.margin}"
    if verdict is Verdict.INCONCLUSIVE:
        text += f"; with this noise and {cell.seeds} seeds a loss of {amount(needed)} is caught"
        text += ", so run more seeds" if needed > cell.measure.margin.value else ""
    return text + "."


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


def oracle_values(records: Sequence[Record]) -> dict[Key, float]:
    """Returns the oracles' mean values; of a seed that occurs twice, the record named last counts."""
    found: dict[Key, dict[int, float]] = defaultdict(dict)
    for record in records:
        if record.method.name != "oracle" or record.status is not Status.OK:
            continue
        for metric in overall(record).values():
            if metric.value is not None:
                key = record.task.sha256, metric.name, metric.judge, metric.identity
                found[key][record.seed] = metric.value
    return {key: float(np.mean(list(values.values()))) for key, values in found.items()}


def overall(record: Record) -> dict[tuple[str, str | None], Metric]:
    """Returns a record's metrics by name and judge, without those that have one value a class."""
    found = Counter((metric.name, metric.judge) for metric in record.metrics)
    return {(m.name, m.judge): m for m in record.metrics if found[m.name, m.judge] == 1}


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
    names = [name for name in type(old).model_fields if getattr(old, name) != getattr(new, name)]
    return " and ".join(name.removesuffix("_sha256") for name in names)


def _pair_notes(pair: Pair) -> list[str]:
    notes = []
    if not pair.same_device:
        notes.append(f"{pair.row}: quality is compared across devices ({pair.device}); time is not.")
    missing = sorted(pair.baseline.keys() - pair.current.keys())
    if missing and pair.shared:
        notes.append(
            f"{pair.row}: without the baseline's seeds {', '.join(map(str, missing))}, which were not run now."
        )
    return notes

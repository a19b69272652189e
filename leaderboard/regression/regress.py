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
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.record import Record
from ...benchmark.registry import family_of
from ..significance import holm
from .costs import COST_METRICS, cost_findings
from .losses import ALPHA, Key, Loss, no_longer_defined, overall, paired_loss, series, targets_of
from .margins import Measure, Target, check_margins, measures
from .noise import prior_for
from .pairing import PairedRow, pair_runs, run_findings
from .verdicts import Finding, Verdict, Verdicts

MOST = 10.0
"""A relative loss whose percentages nobody reads any more."""
ARITHMETIC = 1e-3
"""How far two processors may be apart in a metric of the same run: a sample of a thousand on the other side of a boundary."""
COST_MODES = ("auto", "required", "off")


class _Cell(NamedTuple):
    pair: PairedRow
    measure: Measure
    loss: Loss
    baseline: float
    current: float
    seeds: int


def compare(
    baseline: Sequence[Record],
    current: Sequence[Record],
    *,
    references: Iterable[Record] = (),
    margins: Mapping[str, float] | None = None,
    cost: str = "auto",
    same_device: bool = False,
    partial: bool = False,
) -> Verdicts:
    """Compares records with those of a baseline.

    Args:
        baseline: How it was.
        current: How it is.
        references: More records to take the reference rows' numbers from, where the baseline has none.
        margins: Margins to use instead of the defaults, by metric.
        cost: Whether time is judged where it can be, has to be, or is not.
        same_device: Whether another device than the baseline's is not comparable at all.
        partial: Whether rows of the baseline that were not run now are left out.

    Raises:
        BenchmarkError: A margin is not positive, or for something that is not there; or ``cost`` is none of these.
    """
    if cost not in COST_MODES:
        raise BenchmarkError(f"--cost cannot be '{cost}'; choose {', '.join(COST_MODES)}.")
    paired = pair_runs(baseline, current, partial)
    findings, notes, cells = list(paired.findings), list(paired.notes), list[_Cell]()
    targets = targets_of([*references, *baseline])
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


def _cells(
    pair: PairedRow, targets: Mapping[Key, Target], margins: Mapping[str, float]
) -> tuple[list[_Cell], list[Finding], set[str]]:
    """What can be tested of a row, what cannot, and the names of all that is guarded."""
    runs = pair.finished
    if not runs:
        return [], [], set(margins)
    first = runs[0][0]
    directions = {key[0]: metric.direction for run in runs for record in run for key, metric in overall(record).items()}
    guarded = measures(family_of(first.task), directions, margins)
    cells, unfit = [], list[Finding]()
    repeated = all(_repeats(a, b) for a, b in runs)
    for measure in guarded:
        if gone := no_longer_defined(pair, measure.metric):
            seeds = ", ".join(map(str, gone))
            sentence = (
                f"{measure.metric} was defined in the baseline and is not now (seed{'s' * (len(gone) > 1)} {seeds})."
            )
            unfit.append(pair.finding(measure.metric, Verdict.REGRESSION, sentence))
            continue
        found = series(pair, measure, targets)
        if isinstance(found, str):
            unfit.append(pair.finding(measure.metric, Verdict.NOT_COMPARABLE, found))
        elif found is not None:
            same = repeated and np.array_equal(found.before, found.now)
            loss = Loss(0.0, ()) if same else paired_loss(found, prior_for(measure.metric))
            cells.append(_Cell(pair, measure, loss, found.baseline, found.current, len(runs)))
    if not guarded:
        unfit.append(pair.finding("runs", Verdict.NOT_COMPARABLE, "no metric of it has a direction."))
    return cells, unfit, {measure.metric for measure in guarded}


def _repeats(old: Record, new: Record) -> bool:
    """Whether a run is the other one but for what another processor makes of its arithmetic.

    If so, a metric that came out equal is the same; between runs that differ it may be rounded or saturated.
    """
    before, now = ({key: metric.value for key, metric in record.metrics_by_key().items()} for record in (old, new))
    return before.keys() == now.keys() and all(_close(value, now[key]) for key, value in before.items())


def _close(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return math.isclose(old, new, rel_tol=ARITHMETIC, abs_tol=ARITHMETIC)


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
        if cell.measure.margin.relative and abs(value) > MOST:
            return f"{'more' if value > 0 else 'less'} than {math.copysign(MOST, value):.0%}"
        return f"{value:.1%}" if cell.measure.margin.relative else f"{value:.4f}"

    low, high = cell.loss.bounds()
    moved = f"{cell.measure.metric} went from {cell.baseline:.4g} to {cell.current:.4g}"
    if not cell.loss.errors:
        return f"{moved}, the same to the last digit."
    text = f"{moved}, a loss of {amount(cell.loss.mean)} ({amount(low)} to {amount(high)})"
    text += f" against a margin of {cell.measure.margin}"
    if verdict is Verdict.INCONCLUSIVE:
        text += f"; with this noise and {cell.seeds} seed{'s' * (cell.seeds > 1)} a loss of {amount(needed)} is caught"
        text += ", so run more seeds" if needed > cell.measure.margin.value else ""
    return text + "."


def _pair_notes(pair: PairedRow) -> list[str]:
    notes = []
    task = next(iter(pair.current.values())).task
    if family_of(task) is None:
        notes.append(
            f"{pair.row}: the family '{task.family}' is not known here, so every metric is guarded in its own direction "
            "and by a tenth; name the file that declares it with --plugin FILE."
        )
    if not pair.same_device:
        notes.append(f"{pair.row}: quality is compared across devices ({pair.device}); time is not.")
    missing = sorted(pair.baseline.keys() - pair.current.keys())
    if missing and pair.shared:
        notes.append(
            f"{pair.row}: without the baseline's seeds {', '.join(map(str, missing))}, which were not run now."
        )
    return notes

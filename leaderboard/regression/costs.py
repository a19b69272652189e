"""Whether a method got dearer: counts exactly, time by interleaved samples, a rank test and a bootstrap bound.

Steps of one run share the machine's state of that minute, so a run is one block with one number, its median step: a rank
test over single steps would find differences where there are none. Two runs minutes apart differ, too, unless baseline and
current took turns. So time is judged only where the runs were interleaved, on one device, with at least six a side, and is
shown otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy import stats

from ...benchmark.metrics.intervals import Floats, Interval
from ...benchmark.records.record import Cost, Record
from ..significance import holm
from ..text import COST_UNKNOWN
from ..work import COUNTS
from .pairing import PairedRow
from .verdicts import Finding, Verdict

COST_METRICS = ("counts", "step_time")
COST_MARGIN = 0.05
"""How much dearer is too much, as a share."""
COST_ALPHA = 0.01
FEWEST_RUNS = 6
"""A side; with six, the rank test can reach 0.001."""
LONGEST_STRETCH = 2
"""Runs of one side in a row, as in ABBA."""
DRAWS = 4000


class Timing(NamedTuple):
    """The time of a step, now over before."""

    ratio: float
    interval: Interval
    """Each end holds with 95 %."""
    p_value: float
    """One-sided, that nothing got slower."""


def compare_times(before: Floats, now: Floats) -> Timing:
    """Compares one number a run: Mann and Whitney's exact test and the bootstrap of the ratio of medians over runs.

    Args:
        before: Seconds, one a run.
        now: The same.
    """
    generator = np.random.default_rng(0)
    draws = [np.median(side[generator.integers(len(side), size=(DRAWS, len(side)))], axis=1) for side in (now, before)]
    low, high = np.quantile(draws[0] / draws[1], [0.05, 0.95])
    p_value = float(stats.mannwhitneyu(now, before, alternative="greater").pvalue)
    return Timing(float(np.median(now) / np.median(before)), Interval(float(low), float(high)), p_value)


def cost_findings(pairs: Sequence[PairedRow], margins: Mapping[str, float], mode: str) -> list[Finding]:
    """Returns what is to be said of the cost of every row with runs that ended well."""
    rows = [pair for pair in pairs if pair.finished]
    if mode == "off":
        return []
    findings = [_counted(pair, margins.get("counts", COST_MARGIN)) for pair in rows]
    timed = [pair for pair in rows if not why_not(pair)]
    found = [compare_times(*_blocks(pair)) for pair in timed]
    adjusted = holm([timing.p_value for timing in found]) if found else []
    margin = margins.get("step_time", COST_MARGIN)
    findings += [_timed(pair, timing, p, margin) for pair, timing, p in zip(timed, found, adjusted, strict=True)]
    return findings + [_untimed(pair, mode == "required") for pair in rows if why_not(pair)]


def why_not(pair: PairedRow) -> str:
    """Returns why a row's time cannot be judged, or nothing."""
    runs = pair.finished
    if not pair.same_device:
        return "time is compared within one device alone"
    if any(_block(record) is None for run in runs for record in run):
        made_here = any(record.is_run for run in runs for record in run)
        return "some runs have no times" if made_here else COST_UNKNOWN
    if len(runs) < FEWEST_RUNS:
        return f"{len(runs)} runs a side are too few to judge time, which takes {FEWEST_RUNS}"
    if not interleaved(runs):
        return "baseline and current were not run in turns, so that their times tell the machine's state, too"
    return ""


def interleaved(runs: Sequence[tuple[Record, Record]]) -> bool:
    """Returns whether the runs took turns, as in ABAB or ABBA, going by when they ended."""
    ended = sorted((record.created, side) for run in runs for side, record in enumerate(run))
    return max(len(list(stretch)) for _, stretch in groupby(side for _, side in ended)) <= LONGEST_STRETCH


def _block(record: Record) -> float | None:
    """A run's one number: its median step, or the whole where there are no steps."""
    if record.cost is None:
        return None
    steps = record.cost.step_seconds
    seconds = float(np.median(steps)) if steps else record.cost.unlearn_seconds
    return seconds or None


def _blocks(pair: PairedRow) -> tuple[Floats, Floats]:
    before, now = ([_block(record) for record in side] for side in zip(*pair.finished, strict=True))
    return np.asarray(before, dtype=float), np.asarray(now, dtype=float)


def _timed(pair: PairedRow, timing: Timing, p_value: float, margin: float) -> Finding:
    low, high = timing.interval
    if p_value < COST_ALPHA and low > 1 + margin:
        verdict = Verdict.REGRESSION
    else:
        verdict = Verdict.FINE if high < 1 + margin else Verdict.INCONCLUSIVE
    sentence = (
        f"a step takes {timing.ratio:.3f} times as long ({low:.3f} to {high:.3f}, p = {p_value:.3g}) "
        f"against a margin of {margin:.0%}."
    )
    before, now = (float(np.median(side)) for side in _blocks(pair))
    numbers = (before, now, timing.ratio - 1, low - 1, high - 1, margin, p_value)
    return Finding(pair.row, pair.device, "step_time", verdict, sentence, len(pair.finished), *numbers)


def _untimed(pair: PairedRow, required: bool) -> Finding:
    reason = why_not(pair)
    verdict = Verdict.NOT_JUDGED
    if required:
        verdict = Verdict.INCONCLUSIVE if pair.same_device else Verdict.NOT_COMPARABLE
    before, now = _blocks(pair)
    if pair.same_device and not np.isnan([*before, *now]).any():
        reason += f"; a step took {np.median(now) / np.median(before):.3f} times as long"
    return pair.finding("step_time", verdict, f"{reason}.")


def _counted(pair: PairedRow, margin: float) -> Finding:
    """Counts do not jitter, so they are compared as they are, on whatever device."""
    costs = [(old.cost, new.cost) for old, new in pair.finished]
    known = [(old, new) for old, new in costs if old is not None and new is not None]
    if not known:
        return pair.finding("counts", Verdict.NOT_JUDGED, f"{COST_UNKNOWN}.")
    changes = {name: _totals(known, name) for name in COUNTS}
    changed = {name: totals for name, totals in changes.items() if totals[0] != totals[1]}
    if not changed:
        return pair.finding("counts", Verdict.FINE, "steps, passes and samples are the same.")
    dearer = [name for name, (old, new) in changed.items() if new > (1 + margin) * old]
    listed = ", ".join(f"{name.replace('_', ' ')} {old:,} to {new:,}" for name, (old, new) in changed.items())
    return pair.finding("counts", Verdict.REGRESSION if dearer else Verdict.FINE, f"{listed}, margin {margin:.0%}.")


def _totals(costs: Sequence[tuple[Cost, Cost]], name: str) -> tuple[int, int]:
    # Records of earlier releases did not count all of it.
    both = [(getattr(old, name), getattr(new, name)) for old, new in costs]
    counted = [(old, new) for old, new in both if old is not None and new is not None]
    return sum(old for old, _ in counted), sum(new for _, new in counted)

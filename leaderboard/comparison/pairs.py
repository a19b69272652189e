"""Two methods on the same seeds: how far apart they are, whether the seeds tell, and how many would."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from ...benchmark.metrics.intervals import Interval
from ..ranking import SIGNIFICANCE, Ranking, Row, SharedScores, shared_scores
from ..scoring import Z95, RunScore
from ..significance import bootstrap_mean, holm, paired_p_value, seeds_to_separate

MOST_SEEDS = 100
"""Beyond this many the answer is "more"."""
POWER = 0.8
"""How often the named number of seeds would separate two methods."""

Kind = Literal["score", "component", "metric"]


class Difference(NamedTuple):
    """How far two methods are apart in one number, paired over the seeds that both have."""

    kind: Kind
    name: str
    """``score``, a component, ``utility``, or a metric with its judge."""
    first: float
    """The first method's mean over the shared seeds."""
    second: float
    value: float
    """First minus second."""
    interval: Interval | None
    """Of 95 %, for this number alone; None for a single seed where nothing is known of the sampling."""
    p_value: float | None
    """Of a true difference of zero, not corrected; None for a single seed."""
    seeds: int


class TimeRatio(NamedTuple):
    """The first method's unlearning time over the second's on the same device: the geometric mean over shared seeds."""

    value: float
    interval: Interval | None
    """Of 95 %; None for a single seed."""
    seeds: int


class Needed(NamedTuple):
    """How many seeds would separate a pair if its difference and spread are what they seem."""

    seeds: int | None
    """None for more than ``MOST_SEEDS``."""
    at_least: bool
    """Whether it is a lower limit, since a single seed does not show the spread over seeds."""

    def __str__(self) -> str:
        if self.seeds is None:
            return f"more than {MOST_SEEDS} seeds"
        return f"{'at least ' if self.at_least else ''}{self.seeds} seeds"


class Pair(NamedTuple):
    """Two rows of a board."""

    first: str
    second: str
    seeds: list[int]
    """That both were run with; failed runs count, with a score of zero."""
    score: Difference | None
    """None without a shared seed, and on a board without scores."""
    p_holm: float | None
    """The score's p-value after Holm's correction over the board's pairs that were asked for."""
    needed: Needed | None
    """None where the pair is separated, or scores the same on every seed."""
    parts: list[Difference]
    """The score's components and utility, and the metrics that the board shows; none of them corrected."""
    time: TimeRatio | None

    @property
    def better(self) -> str | None:
        """The method with the higher score, where the seeds separate the two."""
        if self.score is None or self.p_holm is None or self.p_holm >= SIGNIFICANCE:
            return None
        return self.first if self.score.value > 0 else self.second

    @property
    def verdict(self) -> str:
        """What the seeds say, in a few words."""
        if self.score is None:
            return "no score" if self.seeds else "no shared seed"
        if self.better is not None:
            return f"{self.better} is better"
        return "the same on every seed" if self.needed is None else f"not told apart; {self.needed} would"


def compare_rows(board: Ranking, rows: Sequence[Row]) -> list[Pair]:
    """Compares every two of a board's rows, in the order given."""
    chosen = list(combinations(rows, 2))
    scores = [shared_scores(a, b) for a, b in chosen]
    tested = [index for index, shared in enumerate(scores) if shared.seeds and board.note is None]
    adjusted = dict(zip(tested, holm([scores[index].p_value for index in tested]), strict=True)) if tested else {}
    separated = sum(p < SIGNIFICANCE for p in adjusted.values())
    # The level at which Holm's procedure stopped: the open pair with the smallest p-value has to pass this one.
    level = SIGNIFICANCE / max(1, len(tested) - separated)
    return [
        _pair(board, a, b, shared, adjusted.get(index), level)
        for index, ((a, b), shared) in enumerate(zip(chosen, scores, strict=True))
    ]


def _pair(board: Ranking, a: Row, b: Row, shared: SharedScores, p_holm: float | None, level: float) -> Pair:
    return Pair(
        first=a.name,
        second=b.name,
        seeds=shared.seeds,
        score=None if p_holm is None else _score(shared),
        p_holm=p_holm,
        needed=None if p_holm is None or p_holm < SIGNIFICANCE else _needed(shared, level),
        parts=_parts(board, a, b),
        time=_time(a, b),
    )


def _score(shared: SharedScores) -> Difference:
    found = _difference("score", "score", list(zip(shared.first, shared.second, strict=True)))
    interval = found.interval
    if interval is None:
        interval = Interval(found.value - Z95 * shared.error, found.value + Z95 * shared.error)
    return found._replace(interval=_within(interval), p_value=shared.p_value)


def _within(interval: Interval) -> Interval:
    """Scores and their components lie between 0 and 1, so their differences lie between -1 and 1."""
    return Interval(max(-1.0, interval.low), min(1.0, interval.high))


def _needed(shared: SharedScores, level: float) -> Needed | None:
    differences = np.subtract(shared.first, shared.second)
    if not differences.any():
        return None
    single = len(differences) == 1
    deviation = shared.error if single else float(np.std(differences, ddof=1))
    seeds = seeds_to_separate(float(differences.mean()), deviation, level, POWER, MOST_SEEDS)
    return Needed(None if seeds is None else max(seeds, len(differences) + 1), single)


def _difference(kind: Kind, name: str, pairs: list[tuple[float, float]]) -> Difference:
    first, second = np.mean(pairs, axis=0)
    differences = [one - other for one, other in pairs]
    several = len(pairs) > 1
    p_value = paired_p_value(*zip(*pairs, strict=True)) if several else None
    interval = bootstrap_mean(differences)
    if interval is not None and kind != "metric":
        interval = _within(interval)
    value = float(np.mean(differences))
    return Difference(kind, name, float(first), float(second), value, interval, p_value, len(pairs))


def _parts(board: Ranking, a: Row, b: Row) -> list[Difference]:
    """What the score is made of, then the metrics of the board's columns; of runs that ended well."""
    readers: list[tuple[Kind, str, Callable[[RunScore], float | None]]] = []
    if board.note is None:
        readers += [("component", part.key, _component(part.key)) for part in board.track.components]
        readers.append(("component", "utility", lambda run: run.utility))
    for column in board.track.columns:
        readers += [("metric", name, _metric(*key)) for name, key in _judged(column.name, (a, b)).items()]
    pairs = [(kind, name, _on_shared_seeds(a, b, read)) for kind, name, read in readers]
    return [_difference(kind, name, found) for kind, name, found in pairs if found]


def _component(key: str) -> Callable[[RunScore], float | None]:
    return lambda run: run.components[key]


def _metric(name: str, judge: str | None) -> Callable[[RunScore], float | None]:
    def read(run: RunScore) -> float | None:
        return next((m.value for m in run.record.metrics if (m.name, m.judge) == (name, judge)), None)

    return read


def _judged(metric: str, rows: Sequence[Row]) -> dict[str, tuple[str, str | None]]:
    """A metric's keys by what to call them: its name, with the judge where there is one."""
    judges = {m.judge for row in rows for run in row.runs for m in run.record.metrics if m.name == metric}
    return {
        f"{metric}, {judge}" if judge else metric: (metric, judge)
        for judge in sorted(judges, key=lambda judge: judge or "")
    }


def _on_shared_seeds(a: Row, b: Row, read: Callable[[RunScore], float | None]) -> list[tuple[float, float]]:
    first, second = ({run.record.seed: read(run) for run in row.runs} for row in (a, b))
    shared = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    return [(one, other) for one, other in shared if one is not None and other is not None]


def _time(a: Row, b: Row) -> TimeRatio | None:
    seconds = _on_shared_seeds(a, b, lambda run: run.record.cost.unlearn_seconds if run.record.cost else None)
    ratios = [math.log(one / other) for one, other in seconds if one > 0 and other > 0]
    if not ratios:
        return None
    interval = bootstrap_mean(ratios)
    ends = None if interval is None else Interval(_exp(interval.low), _exp(interval.high))
    return TimeRatio(_exp(float(np.mean(ratios))), ends, len(ratios))


def _exp(value: float) -> float:
    """Widened intervals of two seeds may lie beyond what a float holds."""
    return math.exp(min(700.0, value))

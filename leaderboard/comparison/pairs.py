"""Two methods on the same requests and seeds: how far apart they are, whether the runs tell, and how many seeds would."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from ...benchmark.metrics.intervals import Interval
from ..boards import Case
from ..ranking import Ranking
from ..ranks import SIGNIFICANCE, SharedScores, shared_scores
from ..row import Row
from ..scoring import Z95, RunScore
from ..significance import bootstrap_mean, holm, paired_p_value, seeds_to_separate

MOST_SEEDS = 100
"""Beyond this many the answer is "more"."""
POWER = 0.8
"""How often the named number of seeds would separate two methods."""

Kind = Literal["score", "component", "metric"]


class Difference(NamedTuple):
    """How far two methods are apart in one number, paired over the requests and seeds that both have."""

    kind: Kind
    name: str
    """``score``, a component, ``utility``, or a metric with its judge."""
    first: float
    """The first method's mean over the shared runs."""
    second: float
    value: float
    """First minus second."""
    interval: Interval | None
    """Of 95 %, for this number alone; None for a single run where nothing is known of the sampling."""
    p_value: float | None
    """Of a true difference of zero, not corrected; None for a single run."""
    runs: int
    """How many requests and seeds it is over."""


class TimeRatio(NamedTuple):
    """The first method's unlearning time over the second's: the geometric mean over shared runs on equal devices."""

    value: float
    interval: Interval | None
    """Of 95 %; None for a single run."""
    runs: int


class Needed(NamedTuple):
    """How many seeds would separate a pair if its difference and spread are what they seem."""

    seeds: int | None
    """Of each request; None for more than ``MOST_SEEDS``."""
    at_least: bool
    """Whether it is a lower limit, since a single run does not show the spread over seeds."""
    requests: int = 1
    """Requests that they share."""

    def __str__(self) -> str:
        each = " of each request" if self.requests > 1 else ""
        if self.seeds is None:
            return f"more than {MOST_SEEDS} seeds{each}"
        return f"{'at least ' if self.at_least else ''}{self.seeds} seeds{each}"


class Pair(NamedTuple):
    """Two rows of a board."""

    first: str
    second: str
    cases: list[Case]
    """The requests and seeds that both were run with; failed runs count, with a score of zero."""
    score: Difference | None
    """None without a shared run, and on a board without scores."""
    p_holm: float | None
    """The score's p-value after Holm's correction over the board's pairs that were asked for."""
    needed: Needed | None
    """None where the pair is separated, or scores the same in every run."""
    parts: list[Difference]
    """The score's components and utility, and the metrics that the board shows; none of them corrected."""
    time: TimeRatio | None
    """None without shared runs on equal devices."""

    @property
    def better(self) -> str | None:
        """The method with the higher score, where the runs separate the two."""
        if self.score is None or self.p_holm is None or self.p_holm >= SIGNIFICANCE:
            return None
        return self.first if self.score.value > 0 else self.second

    @property
    def verdict(self) -> str:
        """What the runs say, in a few words."""
        if self.score is None:
            return "no score" if self.cases else "no shared seed"
        if self.better is not None:
            return f"{self.better} is better"
        return "the same on every seed" if self.needed is None else f"not told apart; {self.needed} would"


def compare_rows(board: Ranking, rows: Sequence[Row]) -> list[Pair]:
    """Compares every two of a board's rows, in the order given."""
    chosen = list(combinations(rows, 2))
    scores = [shared_scores(a, b) for a, b in chosen]
    tested = [index for index, shared in enumerate(scores) if shared.cases]
    adjusted = dict(zip(tested, holm([scores[index].p_value for index in tested]), strict=True)) if tested else {}
    separated = sum(p < SIGNIFICANCE for p in adjusted.values())
    # The level at which Holm's procedure stopped: the open pair with the smallest p-value has to pass this one.
    level = SIGNIFICANCE / max(1, len(tested) - separated)
    return [
        _pair(board, (a, b), shared, adjusted.get(index), level)
        for index, ((a, b), shared) in enumerate(zip(chosen, scores, strict=True))
    ]


def _pair(board: Ranking, rows: tuple[Row, Row], shared: SharedScores, p_holm: float | None, level: float) -> Pair:
    a, b = rows
    return Pair(
        first=a.name,
        second=b.name,
        cases=shared.cases or sorted(set(a.cases) & set(b.cases)),
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
    single, requests = len(differences) == 1, len({case.request for case in shared.cases})
    deviation = shared.error if single else float(np.std(differences, ddof=1))
    runs = seeds_to_separate(float(differences.mean()), deviation, level, POWER, MOST_SEEDS * requests)
    known = len({case.seed for case in shared.cases})
    return Needed(None if runs is None else max(math.ceil(runs / requests), known + 1), single, requests)


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
    if a.score is not None and b.score is not None:
        readers += [("component", part.key, _component(part.key)) for part in board.track.components]
        readers.append(("component", "utility", lambda run: run.utility))
    for column in board.track.columns:
        readers += [("metric", name, _metric(*key)) for name, key in _judged(column.name, (a, b)).items()]
    pairs = [(kind, name, _on_shared_runs(a, b, read)) for kind, name, read in readers]
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


def _on_shared_runs(a: Row, b: Row, read: Callable[[RunScore], float | None]) -> list[tuple[float, float]]:
    found = [(read(one), read(other)) for one, other in _shared_runs(a, b)]
    return [(one, other) for one, other in found if one is not None and other is not None]


def _shared_runs(a: Row, b: Row) -> list[tuple[RunScore, RunScore]]:
    first, second = ({run.case: run for run in row.runs} for row in (a, b))
    return [(first[case], second[case]) for case in sorted(first.keys() & second.keys())]


def _time(a: Row, b: Row) -> TimeRatio | None:
    equal = [
        (one.record.cost, other.record.cost)
        for one, other in _shared_runs(a, b)
        if one.record.device.group == other.record.device.group
    ]
    seconds = [(one.unlearn_seconds, other.unlearn_seconds) for one, other in equal if one and other]
    ratios = [math.log(one / other) for one, other in seconds if one and other and one > 0 and other > 0]
    if not ratios:
        return None
    interval = bootstrap_mean(ratios)
    ends = None if interval is None else Interval(_exp(interval.low), _exp(interval.high))
    return TimeRatio(_exp(float(np.mean(ratios))), ends, len(ratios))


def _exp(value: float) -> float:
    """Widened intervals of two seeds may lie beyond what a float holds."""
    return math.exp(min(700.0, value))

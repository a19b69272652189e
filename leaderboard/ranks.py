"""Which rows are better than which beyond doubt, and the ranks that follow."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..benchmark.metrics.intervals import Floats
from .boards import Case
from .row import Row
from .significance import holm, paired_p_value, paired_p_values, seeds_to_separate

SIGNIFICANCE = 0.05
FAR = 0.4
"""Rows that share a rank are expected to score alike; where they are further apart, the board says why they share it."""
_NAMED = 3
"""Rows that such a sentence names; of the others it says how many."""

Scores = Mapping[Case, float]
Error = Callable[[int, Case], float]
"""The standard error that sampling leaves of the score of a row, by its index, in one case."""


class SharedScores(NamedTuple):
    """The scores of two rows in the cases that both were run with; a failed run scores zero."""

    cases: list[Case]
    first: list[float]
    second: list[float]
    error: float
    """The standard error that the sampling of the metrics leaves of the difference in a single shared case; else 0."""

    @property
    def p_value(self) -> float:
        """Paired over the cases; for a single one, from what the sampling of the metrics leaves open."""
        if len(self.cases) > 1:
            return paired_p_value(self.first, self.second)
        return _single_p_value(self.first[0] - self.second[0], self.error)


def shared_scores(a: Row, b: Row) -> SharedScores:
    """Returns what the board compares two of its rows by."""
    cases = sorted(a.scores.keys() & b.scores.keys())
    # Several runs speak for themselves, and what sampling leaves open takes a while to compute.
    errors = [row.error(cases[0]) for row in (a, b)] if len(cases) == 1 else []
    return SharedScores(
        cases, [a.scores[case] for case in cases], [b.scores[case] for case in cases], math.hypot(*errors)
    )


def _single_p_value(difference: float, error: float) -> float:
    if difference == 0.0:
        return 1.0
    return 0.0 if error == 0.0 else float(2 * special.ndtr(-abs(difference) / error))


class Verdicts(NamedTuple):
    """What the data say of every two of some rows."""

    p_values: Floats
    """``(N, N)``, after Holm's correction over all pairs that share a case; not a number for those that share none."""
    differences: Floats
    """``(N, N)``, the mean of row minus column over the shared cases."""
    shared: NDArray[np.int64]
    """``(N, N)``, how many cases they share."""

    @property
    def better(self) -> NDArray[np.bool_]:
        """``(N, N)``, whether the row is better than the column beyond doubt."""
        with np.errstate(invalid="ignore"):
            return (self.p_values < SIGNIFICANCE) & (self.differences > 0)


def verdicts(scores: Sequence[Scores], error: Error) -> Verdicts:
    """Compares every two of some rows, paired over the requests and seeds that both were run with.

    Args:
        scores: Of each row, by case.
        error: Asked for pairs that share a single case.
    """
    n = len(scores)
    raw, differences = np.full((n, n), np.nan), np.zeros((n, n))
    shared = np.zeros((n, n), dtype=np.int64)
    # Most rows of a board were run with the same requests and seeds, so that all of their pairs are tested together.
    groups: dict[frozenset[Case], list[int]] = defaultdict(list)
    for index, found in enumerate(scores):
        groups[frozenset(found)].append(index)
    alike = list(groups.items())
    for number, (first_cases, first) in enumerate(alike):
        for second_cases, second in alike[number:]:
            cases = sorted(first_cases & second_cases)
            if not cases:
                continue
            sides = [np.array([[scores[row][case] for case in cases] for row in side]) for side in (first, second)]
            for place, (row, values) in enumerate(zip(first, sides[0], strict=True)):
                # Of two rows of one group the pair is tested once.
                start = place + 1 if first is second else 0
                others, apart = second[start:], values - sides[1][start:]
                single = len(cases) == 1
                p_values = (
                    _single_p_values(apart[:, 0], row, others, cases[0], error) if single else paired_p_values(apart)
                )
                raw[row, others] = raw[others, row] = p_values
                differences[row, others] = apart.mean(axis=1)
                differences[others, row] = -apart.mean(axis=1)
                shared[row, others] = shared[others, row] = len(cases)
    return Verdicts(_corrected(raw), differences, shared)


def _single_p_values(apart: Floats, row: int, others: Sequence[int], case: Case, error: Error) -> Floats:
    found = [
        _single_p_value(float(one), math.hypot(error(row, case), error(other, case)) if one else 0.0)
        for one, other in zip(apart, others, strict=True)
    ]
    return np.array(found)


def _corrected(raw: Floats) -> Floats:
    """Holm's correction over the pairs, each once; a row is no pair with itself."""
    rows, columns = np.triu_indices(len(raw), k=1)
    tested = ~np.isnan(raw[rows, columns])
    rows, columns = rows[tested], columns[tested]
    found = np.full_like(raw, np.nan)
    if len(rows):
        adjusted = holm(raw[rows, columns])
        found[rows, columns] = found[columns, rows] = adjusted
    return found


def with_ranks(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Gives methods and cheats that have a score, and do not take too much of retraining's work, a rank.

    Returns:
        All rows, and why rows that are far apart share a rank: one sentence for each that others of its rank are far ahead of.
    """
    ranked = [index for index, row in enumerate(rows) if row.role != "reference" and row.score is not None]
    ranked = [index for index in ranked if not rows[index].too_dear]
    chosen = [rows[index] for index in ranked]
    found = verdicts([row.scores for row in chosen], lambda index, case: chosen[index].error(case))
    ahead, behind = _around(chosen, found.better)
    placed = list(rows)
    for place, index in enumerate(ranked):
        placed[index] = rows[index]._replace(rank=1 + int(ahead[place]), last_rank=len(ranked) - int(behind[place]))
    return placed, _reasons([placed[index] for index in ranked], found)


def _around(rows: Sequence[Row], better: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts the rows ahead of each row, and those behind it.

    Ahead are those that are better beyond doubt than it, or than one that scores more; behind are those that are worse than
    it, or than one that scores less. Without the second halves a row whose runs scatter, and of which little can be said for
    sure, would rank before steadier ones that score more.
    """
    order = _by_score(rows)
    sorted_better = better[np.ix_(order, order)]
    ahead = np.logical_or.accumulate(sorted_better, axis=1)
    behind = np.logical_or.accumulate(sorted_better[::-1], axis=0)[::-1]
    for found in (ahead, behind):
        np.fill_diagonal(found, False)
    counts = np.zeros((2, len(rows)), dtype=np.int64)
    counts[:, order] = ahead.sum(axis=0), behind.sum(axis=1)
    return counts[0], counts[1]


def _by_score(rows: Sequence[Row]) -> list[int]:
    return sorted(range(len(rows)), key=lambda index: (-(rows[index].score or 0.0), rows[index].name))


def told_apart(rows: Sequence[Row]) -> set[frozenset[str]]:
    """Returns the names of every two of a board's ranked rows of which one is better beyond doubt."""
    better = verdicts([row.scores for row in rows], lambda index, case: rows[index].error(case)).better
    return {frozenset((rows[one].name, rows[other].name)) for one, other in np.argwhere(better)}


def _reasons(rows: Sequence[Row], found: Verdicts) -> list[str]:
    pairs = int(np.count_nonzero(~np.isnan(found.p_values))) // 2
    still_open = pairs - int(found.better.sum())
    level = SIGNIFICANCE / max(1, still_open)
    order = _by_score(rows)
    sentences = []
    for index in order:
        row = rows[index]
        above = [o for o in order if rows[o].rank == row.rank and (rows[o].score or 0.0) - (row.score or 0.0) > FAR]
        if above:
            named = [f"{rows[o].name} ({_reason(row, rows[o], found, (index, o), level)})" for o in above[:_NAMED]]
            more = [f"{len(above) - _NAMED} more"] if len(above) > _NAMED else []
            sentences.append(f"{row.name} ({row.score:.2f}) shares rank {row.rank} with {_and([*named, *more])}.")
    return sentences


def _reason(row: Row, other: Row, found: Verdicts, place: tuple[int, int], level: float) -> str:
    """Why a row is not behind another that scores more."""
    score, shared = f"{other.score:.2f}", int(found.shared[place])
    if not shared:
        return f"{score}; no shared run"
    if found.better[place[::-1]]:
        return f"{score}; better beyond doubt, and others are better than it"
    text = f"{score}; {shared} shared run{'s' * (shared > 1)}, p = {found.p_values[place]:.2g}"
    if shared == 1:
        return text
    pair = shared_scores(row, other)
    apart = np.subtract(pair.first, pair.second)
    needed = seeds_to_separate(float(apart.mean()), float(apart.std(ddof=1)), level)
    requests = len({case.request for case in pair.cases})
    seeds = None if needed is None else max(math.ceil(needed / requests), len({case.seed for case in pair.cases}) + 1)
    each = " each" if requests > 1 else ""
    return f"{text}, {'more than 100' if seeds is None else seeds} seeds{each} would tell"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

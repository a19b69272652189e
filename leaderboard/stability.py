"""How much of a board hangs on one seed or on one request: it is ranked again without each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..benchmark.metrics.intervals import Floats
from .boards import Case
from .ranking import Ranking
from .ranks import Verdicts, verdicts
from .row import Row


class LeftOut(NamedTuple):
    """What becomes of a board's ranked rows without one seed or one request."""

    what: str
    """The seed or the request."""
    tau: float
    """Kendall's tau-b of the scores with and without it."""
    changed: float
    """The share of pairs of rows of which another thing is said: which one is better beyond doubt, or that neither is."""
    reversed: float
    """The share of those of which the opposite is said."""
    pairs: int


def stability(board: Ranking) -> list[LeftOut]:
    """Leaves out each seed, and each request, where there are several.

    Rows that have nothing else are left out with it, on both sides.
    """
    rows = [row for row in board.rows if row.rank is not None]
    if len(rows) < 2:
        return []
    whole = _verdicts(rows, lambda case: True)
    return [
        _compared(what, rows, whole, kept) for what, kept in _leaving_out({case for row in rows for case in row.scores})
    ]


def _leaving_out(cases: set[Case]) -> Iterator[tuple[str, Callable[[Case], bool]]]:
    seeds, requests = sorted({case.seed for case in cases}), sorted({case.request for case in cases})
    for seed in seeds if len(seeds) > 1 else []:
        yield f"seed {seed}", partial(_of_another_seed, seed)
    for request in requests if len(requests) > 1 else []:
        yield request, partial(_of_another_request, request)


def _of_another_seed(seed: int, case: Case) -> bool:
    return case.seed != seed


def _of_another_request(request: str, case: Case) -> bool:
    return case.request != request


def _verdicts(rows: Sequence[Row], kept: Callable[[Case], bool]) -> Verdicts:
    scores = [{case: score for case, score in row.scores.items() if kept(case)} for row in rows]
    return verdicts(scores, lambda index, case: rows[index].error(case))


def _compared(what: str, rows: Sequence[Row], whole: Verdicts, kept: Callable[[Case], bool]) -> LeftOut:
    part = _verdicts(rows, kept)
    left = [index for index, row in enumerate(rows) if any(map(kept, row.scores))]
    scores = [
        np.array([np.mean([score for case, score in rows[index].scores.items() if chosen(case)]) for index in left])
        for chosen in (lambda case: True, kept)
    ]
    upper = np.triu_indices(len(left), k=1)
    before, after = (_signs(found)[np.ix_(left, left)][upper] for found in (whole, part))
    pairs = len(before)
    return LeftOut(
        what,
        kendall_tau(*scores),
        float(np.mean(before != after)) if pairs else 0.0,
        float(np.mean(before * after < 0)) if pairs else 0.0,
        pairs,
    )


def _signs(found: Verdicts) -> Floats:
    """One where the row is better beyond doubt, minus one where the column is, else zero."""
    better = found.better.astype(float)
    signs: Floats = better - better.T
    return signs


def kendall_tau(first: Floats, second: Floats) -> float:
    """Returns Kendall's tau-b of two lists of scores of the same rows; one where either holds the same score throughout."""
    upper = np.triu_indices(len(first), k=1)
    a, b = (np.sign(np.subtract.outer(values, values))[upper] for values in (first, second))
    untied = np.sqrt(float(np.sum(a != 0)) * float(np.sum(b != 0)))
    return float(np.sum(a * b) / untied) if untied else 1.0

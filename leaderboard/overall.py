"""How methods stand over all boards: the share of its rivals that each beats, mean over boards, with a bootstrap interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..benchmark.metrics.intervals import LEVEL, Floats, Interval
from .boards import Case
from .ranking import Ranking
from .row import Row

DRAWS = 1000
_DIGITS = 12
_TIE = 10.0**-_DIGITS
"""Scores that differ by less are the same."""


class Contender(NamedTuple):
    """A method over all boards; the reader's runs of it are another one than the shipped."""

    method: str
    own: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.method} (yours)" if self.own else self.method


class Standing(NamedTuple):
    """What a method does over all boards."""

    contender: Contender
    role: str
    rows: Mapping[int, Row]
    """Its row on each board that it stands on, by the board's index."""
    share: float | None
    """The share of its rivals that it beats, mean over boards; None where it has no rank with a rival on any."""
    interval: Interval | None
    """Of the share: the cases of every board drawn again."""
    boards: int
    """Boards that the share is a mean of."""


def standard_boards(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Returns one board a task: its first scored track, as the task is by default where that was run.

    Args:
        rankings: As ``rank_all`` returns them, of several protocols of a task the newest first.
    """
    by_task: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        by_task[ranking.task].append(ranking)
    return [
        min(found, key=lambda board: (not board.track.components, board.task_config != ""))
        for found in by_task.values()
    ]


def chosen_rows(board: Ranking) -> dict[Contender, Row]:
    """Returns the row of each method on a board: with tuned settings, else with its defaults, else its best one set by hand."""
    rows: dict[Contender, list[Row]] = defaultdict(list)
    for row in board.rows:
        rows[Contender(row.method, row.own)].append(row)
    return {contender: min(found, key=_preference) for contender, found in rows.items()}


def _preference(row: Row) -> tuple[bool, bool, float]:
    return not row.settings.startswith("tuned"), row.config != "", -(row.score if row.score is not None else -1.0)


def standings(boards: Sequence[Ranking]) -> list[Standing]:
    """Returns every method, cheat and reference row with what it does over all boards, the best first.

    Methods with a rank are each other's rivals. A share is of the rivals on a board, so that a large board counts no more than
    a small one, and a method is not punished for a board that it does not stand on.
    """
    rows: dict[Contender, dict[int, Row]] = defaultdict(dict)
    shares: dict[Contender, list[Floats]] = defaultdict(list)
    for index, board in enumerate(boards):
        chosen = chosen_rows(board)
        for contender, row in chosen.items():
            rows[contender][index] = row
        ranked = [key for key, row in chosen.items() if row.role == "method" and row.rank is not None]
        if len(ranked) > 1:
            drawn = share_draws([chosen[key] for key in ranked], np.random.default_rng([0, index]))
            for contender, found in zip(ranked, drawn.T, strict=True):
                shares[contender].append(found)
    placed = [_standing(contender, found, shares.get(contender, [])) for contender, found in rows.items()]
    return sorted(placed, key=lambda one: (one.share is None, -(one.share or 0.0), -len(one.rows), one.contender))


def _standing(contender: Contender, rows: Mapping[int, Row], shares: Sequence[Floats]) -> Standing:
    role = next(iter(rows.values())).role
    shares = [found for found in shares if not np.isnan(found[0])]
    if not shares:
        return Standing(contender, role, rows, None, None, 0)
    mean = np.mean(shares, axis=0)
    low, high = np.quantile(mean[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    share = float(mean[0])
    return Standing(
        contender, role, rows, share, Interval(min(float(low), share), max(float(high), share)), len(shares)
    )


def share_draws(rows: Sequence[Row], generator: np.random.Generator, draws: int = DRAWS) -> Floats:
    """Returns the share of the others that each row beats.

    Two rows are compared by the mean of their scores over the cases that both were run with; a tie is half a win. A draw takes
    as many of the board's cases as there are, with repetition, for all rows alike. Where it takes none that two rows share,
    they stand as they do over all cases. Where two rows share a single case, which no drawing moves, their scores are drawn
    from what the sampling of the metrics leaves open.

    Args:
        rows: Of one board, with scores.
        generator: Draws.
        draws: How often.

    Returns:
        ``(1 + draws, N)``, the first line as the data are; not a number for a row that shares no case with any other.
    """
    cases = sorted({case for row in rows for case in row.scores})
    scores = np.array([[row.scores.get(case, np.nan) for case in cases] for row in rows])
    weights = np.vstack(
        [np.ones(len(cases)), generator.multinomial(len(cases), np.full(len(cases), 1 / len(cases)), draws)]
    )
    noise = np.vstack([np.zeros(len(rows)), generator.standard_normal((draws, len(rows)))])
    known = ~np.isnan(scores)
    if known.all() and len(cases) > 1:
        return _shares_below(weights @ scores.T)
    values, errors = np.nan_to_num(scores), _errors(rows, cases, known)
    won = [_won(index, values, known, weights, noise, errors) for index in range(len(rows))]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.stack([np.nansum(part, axis=1) / (~np.isnan(part)).sum(axis=1) for part in won], axis=1)
    return found


def _shares_below(sums: Floats) -> Floats:
    """The share of the others of its line that each number is above, a tie being a half: ``(D, N)``.

    Where every row has every case, this says the same as comparing every two of them, and takes no time.
    """
    found = np.empty_like(sums)
    for line, shares in zip(np.round(sums, _DIGITS), found, strict=True):
        ordered = np.sort(line)
        below, up_to = np.searchsorted(ordered, line, "left"), np.searchsorted(ordered, line, "right")
        shares[:] = (below + (up_to - below - 1) / 2) / (len(line) - 1)
    return found


def _errors(rows: Sequence[Row], cases: Sequence[Case], known: NDArray[np.bool_]) -> Floats:
    """What sampling leaves open of each score, where it is asked for: ``(N, C)``, else zero."""
    shared = known.astype(int) @ known.T.astype(int)
    lone = ((shared == 1) & ~np.eye(len(rows), dtype=bool)).any(axis=1)
    return np.array(
        [
            [row.error(case) if needed and there else 0.0 for case, there in zip(cases, known[index], strict=True)]
            for index, (row, needed) in enumerate(zip(rows, lone, strict=True))
        ]
    )


def _won(
    index: int, values: Floats, known: NDArray[np.bool_], weights: Floats, noise: Floats, errors: Floats
) -> Floats:
    """Draw by draw, whether a row beats each of the others: ``(D, N)``; not a number for itself and where no case is shared."""
    shared = known[index] & known
    apart = np.where(shared, values[index] - values, 0.0)
    count = shared.sum(axis=1)
    leads = weights @ apart.T
    leads = np.where(weights @ shared.T > 0, leads, apart.sum(axis=1))
    lone = count == 1
    if lone.any():
        mine = noise[:, [index]] * (errors[index] * shared).sum(axis=1)
        leads = leads + np.where(lone, mine - noise * (errors * shared).sum(axis=1), 0.0)
    won = np.where(np.abs(leads) <= _TIE, 0.5, (leads > 0).astype(float))
    won[:, (count == 0) | (np.arange(len(values)) == index)] = np.nan
    return won

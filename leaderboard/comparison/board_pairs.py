"""A comparison on one board: who takes part, every two of them, and what a reader has to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...benchmark.metrics.intervals import Interval
from ..boards import Case
from ..ranking import Ranking
from ..ranks import told_apart
from ..row import Row
from .pairs import Pair, compare_rows


class Entry(NamedTuple):
    """A row of the board that takes part."""

    name: str
    role: str
    rank: int | None
    rank_range: tuple[int, int] | None
    score: float | None
    interval: Interval | None
    cases: list[Case]
    """The requests and seeds that it was run with."""
    failed_runs: int
    retraining: float | None
    """Its work as a share of retraining's."""
    unlearn_seconds: float | None
    """Median over the runs."""
    cost_unknown: bool
    """Whether its weights were made elsewhere."""
    devices: list[str]


class BoardPairs(NamedTuple):
    """The comparison on one board."""

    title: str
    """The task, what was set of it beside the request, and the track."""
    task: str
    task_config: str
    task_sha256: str
    track: str
    devices: list[str]
    rows: list[Entry]
    pairs: list[Pair]
    notes: list[str]
    """What a reader has to know, one sentence each."""

    @property
    def device(self) -> str:
        """All devices, as one line."""
        return "; ".join(self.devices)


def board_pairs(board: Ranking, rows: Sequence[Row], absent: Sequence[str] = ()) -> BoardPairs:
    """Compares rows of a board with one another.

    Args:
        board: The board.
        rows: Two of its rows or more.
        absent: Names that were asked for and are not on the board.
    """
    pairs = compare_rows(board, rows)
    return BoardPairs(
        title=board.title,
        task=board.task,
        task_config=board.task_config,
        task_sha256=board.task_sha256,
        track=board.track.name,
        devices=sorted({device for row in rows for device in row.devices}),
        rows=[_entry(row) for row in rows],
        pairs=pairs,
        notes=_notes(board, rows, pairs, absent),
    )


def _entry(row: Row) -> Entry:
    return Entry(
        name=row.name,
        role=row.role,
        rank=row.rank,
        rank_range=row.rank_range,
        score=row.score,
        interval=row.interval,
        cases=row.cases,
        failed_runs=len(row.failures),
        retraining=row.retraining.value if row.retraining else None,
        unlearn_seconds=row.unlearn_seconds,
        cost_unknown=row.cost_unknown,
        devices=row.devices,
    )


def _notes(board: Ranking, rows: Sequence[Row], pairs: Sequence[Pair], absent: Sequence[str]) -> list[str]:
    ranked = {row.name for row in rows if row.rank is not None}
    tested = [pair for pair in pairs if pair.score and {pair.first, pair.second} <= ranked]
    apart = told_apart([row for row in board.rows if row.rank is not None]) if tested else set()
    split = [pair for pair in tested if pair.better and frozenset((pair.first, pair.second)) not in apart]
    joined = [pair for pair in tested if not pair.better and frozenset((pair.first, pair.second)) in apart]
    single = [pair for pair in pairs if pair.score and len(pair.cases) == 1]
    found = [board.note] if board.note else []
    found += [
        f"{row.name}: {len(row.failures)} of {len(row.cases)} runs failed and count as 0, as on the board."
        for row in rows
        if row.failures
    ]
    found += [f"{row.name}: {note}" for row in rows for note in row.notes]
    if absent:
        found.append(f"Not on this board: {', '.join(absent)}.")
    if single:
        found.append(
            f"One shared seed ({_both(single)}): intervals and p-values cover the sampling of the metrics inside the runs "
            "and not the spread over seeds, which may be larger."
        )
    if split:
        found.append(
            f"Told apart here and not on the board, which corrects for all pairs of its ranked rows: {_both(split)}."
        )
    if joined:
        found.append(
            "Not told apart here and yet on the board, which tests no pairs with reference rows or rows that are not ranked: "
            f"{_both(joined)}."
        )
    return found


def _both(pairs: Sequence[Pair]) -> str:
    return "; ".join(f"{pair.first} and {pair.second}" for pair in pairs)

"""A comparison on one board: who takes part, every two of them, and what a reader has to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...benchmark.metrics.intervals import Interval
from ..ranking import Ranking, Row
from .pairs import Pair, compare_rows


class Entry(NamedTuple):
    """A row of the board that takes part."""

    name: str
    role: str
    rank: int | None
    score: float | None
    interval: Interval | None
    seeds: list[int]
    failed_runs: int
    unlearn_seconds: float | None
    """Median over the seeds."""
    cost_unknown: bool
    """Whether its weights were made elsewhere."""


class BoardPairs(NamedTuple):
    """The comparison on one board."""

    title: str
    """The task, what was set of it, and the track."""
    task: str
    task_config: str
    task_sha256: str
    track: str
    device: str
    rows: list[Entry]
    pairs: list[Pair]
    notes: list[str]
    """What a reader has to know, one sentence each."""


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
        device=board.device,
        rows=[_entry(row) for row in rows],
        pairs=pairs,
        notes=_notes(board, rows, pairs, absent),
    )


def _entry(row: Row) -> Entry:
    seeds = sorted({run.record.seed for run in row.runs} | {record.seed for record in row.failures})
    return Entry(
        row.name,
        row.role,
        row.rank,
        row.score,
        row.interval,
        seeds,
        len(row.failures),
        row.unlearn_seconds,
        row.cost_unknown,
    )


def _notes(board: Ranking, rows: Sequence[Row], pairs: Sequence[Pair], absent: Sequence[str]) -> list[str]:
    rank = {row.name: row.rank for row in rows}
    ranked = [pair for pair in pairs if pair.score and rank[pair.first] and rank[pair.second]]
    split = [pair for pair in ranked if pair.better and rank[pair.first] == rank[pair.second]]
    joined = [pair for pair in ranked if not pair.better and rank[pair.first] != rank[pair.second]]
    single = [pair for pair in pairs if pair.score and len(pair.seeds) == 1]
    found = [board.note] if board.note else []
    found += [
        f"{row.name}: {len(row.failures)} of {len(row.failures) + len(row.runs)} runs failed and count as 0, as on the board."
        for row in rows
        if row.failures
    ]
    if absent:
        found.append(f"Not on this board: {', '.join(absent)}.")
    if single:
        found.append(
            f"One shared seed ({_both(single)}): intervals and p-values cover the sampling of the metrics inside the runs "
            "and not the spread over seeds, which may be larger."
        )
    if split:
        found.append(
            f"Told apart here and yet in one group on the board, which corrects for all of its methods: {_both(split)}."
        )
    if joined:
        found.append(
            "Not told apart here and yet in different groups on the board, where a group ends at the first method that is "
            f"separated from its leader: {_both(joined)}."
        )
    return found


def _both(pairs: Sequence[Pair]) -> str:
    return "; ".join(f"{pair.first} and {pair.second}" for pair in pairs)

"""Some methods of the boards, two by two: ``unlearnbench compare`` and what a notebook shows of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from ...benchmark.errors import BenchmarkError, unknown_name
from ...benchmark.records.record import Record
from ..boards import cases_text
from ..ranking import Ranking, rank_all
from ..row import Row
from ..rows import left_out
from . import data, tables
from .board_pairs import BoardPairs, board_pairs
from .forest import Figure, forest_plot

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, repr=False)
class Comparison:
    """Methods compared on every board that holds two of them. A notebook shows it as tables.

    Attributes:
        boards: One a task, what was set of it beside the request, and a track.
        problems: One sentence for every file that is no readable record.
        notes: What else is worth a word of the records.
    """

    boards: list[BoardPairs]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        """Returns one row a pair and number: the score, its components, the board's metrics, and the time's ratio.

        ``value`` is the mean of first minus second; where ``kind`` is ``ratio`` it is first over second.
        """
        return pd.DataFrame(data.flat(self.boards))

    def plot(self) -> Figure:
        """Returns the paired differences of the scores with their intervals."""
        return forest_plot(self.boards)

    def markdown(self) -> str:
        """Returns the tables for a pull request's comment."""
        return tables.markdown(self.boards)

    def json(self) -> str:
        """Returns everything that is known, as JSON."""
        return json.dumps(data.plain(self.boards), indent=1, allow_nan=False)

    def print(self, console: Console) -> None:
        """Prints the tables on a terminal."""
        tables.print_tables(console, self.boards)

    def __repr__(self) -> str:
        return "\n".join(
            f"{board.title}: {pair.first} and {pair.second}: {pair.verdict}"
            for board in self.boards
            for pair in board.pairs
        )

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        return tables.html(self.boards)


def compare_records(
    records: Sequence[Record],
    methods: Sequence[str],
    tasks: Sequence[str] | None = None,
    problems: Sequence[str] = (),
    notes: Sequence[str] = (),
    own: Collection[str] = (),
) -> Comparison:
    """Compares methods, board by board.

    Args:
        records: Of any tasks and methods; the reference rows' are needed for scores.
        methods: As on the board: with settings, such as ``"uno (lr=0.001 steps=50)"``, or without. A name without
            settings is the row of the defaults, or all of the method's rows on a board that has none.
        tasks: Names of tasks; by default all.
        problems: Carried along.
        notes: Carried along.
        own: The ``run_id`` of those that are the reader's, see ``rank_all``.

    Raises:
        BenchmarkError: A name is unknown, fewer than two rows are left to compare, or no two share a seed.
    """
    rankings = rank_all(records, own)
    if not rankings:
        raise BenchmarkError(
            f"There is no record to compare. {next(iter(problems), 'Run `unlearnbench suite quick` first.')}"
        )
    _check_names("task", tasks or [], {board.task for board in rankings})
    rows = [row for board in rankings for row in board.rows]
    _check_names("method", methods, {row.method for row in rows} | {row.name for row in rows})
    asked = [board for board in rankings if not tasks or board.task in tasks]
    chosen = [(board, _chosen(board, methods)) for board in asked]
    boards = [board_pairs(board, rows, _absent(board, methods)) for board, rows in chosen if len(rows) > 1]
    if not boards:
        raise BenchmarkError(_why_nothing(rankings, methods, tasks))
    if not any(pair.cases for board in boards for pair in board.pairs):
        raise BenchmarkError(_no_shared_seed(boards[0]))
    mine = [record for record in records if record.method.name in {row.method for _, rows in chosen for row in rows}]
    return Comparison(boards, list(problems), [*notes, *left_out(mine, own)])


def _check_names(kind: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(f"{kind} with records", name, known)


def _named(board: Ranking, name: str) -> list[Row]:
    exact = [row for row in board.rows if row.name == name]
    return exact or [row for row in board.rows if row.method == name]


def _chosen(board: Ranking, methods: Sequence[str]) -> list[Row]:
    """The rows in the order asked for, each once."""
    return list({row.name: row for name in methods for row in _named(board, name)}.values())


def _absent(board: Ranking, methods: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name for name in methods if not _named(board, name)))


def _why_nothing(rankings: Sequence[Ranking], methods: Sequence[str], tasks: Sequence[str] | None) -> str:
    names = list(dict.fromkeys(methods))
    if not names:
        return "There is nothing to compare; name two methods or more."
    if len(names) == 1:
        return f"'{names[0]}' alone cannot be compared; name a second method, such as the reference row oracle."
    places = []
    for name in names:
        boards = [board for board in rankings if _named(board, name)]
        where = dict.fromkeys(map(_place, boards))
        places.append(f"'{name}' was run on {' and '.join(where)}")
    on = f" of {' and '.join(tasks)}" if tasks else ""
    return (
        f"No board{on} holds two of these methods: {'; '.join(places)}; "
        "run them on the same task with the same settings of the task."
    )


def _place(board: Ranking) -> str:
    return f"{' '.join(filter(None, (board.task, board.task_config)))} (task {board.task_sha256[:10]})"


def _no_shared_seed(board: BoardPairs) -> str:
    had = "; ".join(f"'{row.name}' has {cases_text(row.cases)}" for row in board.rows)
    return f"No two of these methods share a request and a seed on {board.task}: {had}; run one of them with another's --seeds."

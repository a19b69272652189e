"""The front page: one matrix of methods by tasks, pictures, what forgetting costs, and what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ..columns import rank_text, ranks_between
from ..overall import Standing, chosen_rows, standard_boards, standings
from ..ranking import Ranking
from ..row import Row
from ..text import from_to, number
from . import plots
from .facts import TaskFacts, method_facts, not_applicable, task_facts
from .news import Newest, latest_changes, newest_rows
from .pictures import Exhibit, exhibit
from .shown import Shown, method_page

CELLS = 2400
"""Cells of the matrix, so that the page stays small however many methods there are; the others are named below it."""
TASKS = 20
"""Tasks in the matrix; the list of tasks names all."""
LEADERS = 2


class Cell(NamedTuple):
    """What a method did on a task."""

    text: str
    kind: str
    """``ranked``, ``unranked``, ``reference``, ``fits-not`` or ``not-run``."""
    score: float | None
    title: str
    """The same in one sentence."""
    mark: str = ""
    """What sets the row apart from the others: settings by hand, a single run."""
    below: str = ""
    """Its ranks, in small."""


class Line(NamedTuple):
    """A method in the matrix."""

    standing: Standing
    link: str
    rebuilt: bool
    cells: list[Cell]


class TaskEntry(NamedTuple):
    """A task with all of its boards."""

    name: str
    page: str
    facts: TaskFacts | None
    boards: list[Shown]


class Showcase(NamedTuple):
    """The board that the pictures and the charts are of: that with the most methods."""

    board: Shown
    exhibit: Exhibit | None
    harm: plots.Chart | None
    cost: plots.Chart | None


class Front(NamedTuple):
    """All that the page shows."""

    columns: list[Shown]
    """The matrix's boards, one a task."""
    methods: list[Line]
    apart: list[Line]
    """Reference rows and cheats."""
    unshown: list[Line]
    """Methods that there is no room for."""
    tasks: list[TaskEntry]
    showcase: Showcase | None
    newest: list[Newest]
    changes: list[Markup]


def front_of(boards: Sequence[Shown]) -> Front:
    """Returns what the front page shows of all boards."""
    by_ranking = {id(board.ranking): board for board in boards}
    columns = [by_ranking[id(ranking)] for ranking in standard_boards([board.ranking for board in boards])]
    shown = columns[:TASKS]
    lines = [_line(standing, shown) for standing in standings([board.ranking for board in columns])]
    methods = [line for line in lines if line.standing.role == "method"]
    apart = [line for line in lines if line.standing.role != "method"]
    most = max(1, CELLS // max(1, len(shown)))
    return Front(
        shown,
        methods[:most],
        sorted(apart[:most], key=lambda line: line.standing.role != "reference"),
        methods[most:] + apart[most:],
        _tasks(boards),
        _showcase(columns),
        newest_rows(boards),
        latest_changes(),
    )


def _tasks(boards: Sequence[Shown]) -> list[TaskEntry]:
    found: dict[str, list[Shown]] = {}
    for board in boards:
        found.setdefault(board.ranking.task, []).append(board)
    return [TaskEntry(task, these[0].page, task_facts(task), these) for task, these in found.items()]


def _line(standing: Standing, columns: Sequence[Shown]) -> Line:
    facts = method_facts(standing.contender.method)
    cells = [
        _cell(board.ranking, standing.rows[index]) if index in standing.rows else _empty(standing, board.ranking)
        for index, board in enumerate(columns)
    ]
    return Line(standing, method_page(standing.contender.method), facts is not None and facts.rebuilt, cells)


def _empty(standing: Standing, board: Ranking) -> Cell:
    lacking = not_applicable(board.task, standing.contender.method)
    if lacking is not None:
        return Cell("n/a", "fits-not", None, f"Not applicable: it needs {lacking}, which the task does not have")
    return Cell("not run", "not-run", None, "Nobody ran it on this task")


def _cell(board: Ranking, row: Row) -> Cell:
    by_hand = " set by hand" if row.config else f", {row.settings}"
    runs = f"{len(row.cases)} run{'s' * (len(row.cases) != 1)}"
    mark = "h" * bool(row.config) + "1" * (len(row.cases) == 1)
    what = f"{row.name}{by_hand}: score {number(row.score)}, {from_to(row.interval)}, {runs}"
    if row.rank is not None:
        title = f"{what}, rank {rank_text(row)} of {_ranked(board)}"
        return Cell(number(row.score, 2), "ranked", row.score, title, mark, ranks_between(row))
    if row.role == "reference":
        return Cell(number(row.score, 2), "reference", row.score, what, mark)
    why = f"not ranked, as it takes {row.retraining} of retraining" if row.too_dear else "no score"
    return Cell(number(row.score, 2), "unranked", row.score, f"{what}; {why}", mark, "no rank")


def _ranked(board: Ranking) -> int:
    return sum(row.rank is not None for row in board.rows)


def _showcase(columns: Sequence[Shown]) -> Showcase | None:
    def size(board: Shown) -> tuple[bool, int]:
        ranked = [row for row in board.ranking.rows if row.role == "method" and row.rank is not None]
        return any(run.record.gallery for row in ranked for run in row.runs), len(ranked)

    board = max(columns, key=size, default=None)
    if board is None:
        return None
    rows = sorted(chosen_rows(board.ranking).values(), key=lambda row: -(row.score or 0.0))
    ranked = [row for row in rows if row.role == "method" and row.rank is not None]
    cheats = [row for row in rows if row.role == "cheat"]
    links: Mapping[str, str] = {row.name: method_page(row.method) for row in rows}
    return Showcase(
        board,
        exhibit(board.ranking, ranked[:LEADERS], cheats),
        plots.harm_chart(rows, links),
        plots.cost_chart(board.ranking, rows, links),
    )

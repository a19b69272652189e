"""The end of ``unlearnbench board``: the reader's own rows and where they stand, short enough for one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from ..benchmark.commands.consoles import say
from ..benchmark.records.record import Status
from .columns import rank_text
from .ranking import Ranking, Row
from .site.build import Site
from .text import from_to, number

MOST_LINES = 25
_RANK = 16
"""Columns of a rank with its range: "12 (12–24) of 30"."""
_COLUMNS = f"{'score':>5}  {'95 %':>9}  {'rank':>{_RANK}}"
_LEAST = 8
_FRAME = 4
"""Lines beside boards and rows: what is shown, what is left out, an empty one, the page."""
_MOST_NOTES = 2
"""Reasons for missing scores that are printed: a further one is on the page."""


@dataclass(frozen=True)
class Standing:
    """A board with the reader's rows on it, the best first.

    Attributes:
        title: The board's.
        ranked: How many rows have a rank.
        best: The row with the highest score among them; of rows with all of the board's requests where there are any.
        own: The reader's rows.
        notes: Why some of them, or all, have no score.
    """

    title: str
    ranked: int
    best: Row | None
    own: list[Row]
    notes: list[str]

    @classmethod
    def of(cls, board: Ranking, new: frozenset[str]) -> Standing:
        """Returns what a board says of some runs.

        Args:
            board: The board.
            new: The runs, by ``run_id``.
        """
        ranked = [row for row in board.rows if row.rank is not None]
        own = [row for row in board.rows if any(record.run_id in new for record in row.records)]
        # A run that a committed row holds, too, made again here, makes a row of its own beside it.
        own = [row for row in own if row.own] or own
        best = max(ranked, key=lambda row: (not row.lacking, row.score or 0.0), default=None)
        notes = [*([board.note] if board.note else []), *board.notes]
        return cls(board.title, len(ranked), best, sorted(own, key=_order), notes)

    def place(self, row: Row) -> str:
        """Returns where a row stands, for a reader."""
        if row.rank is not None:
            return f"{rank_text(row)} of {self.ranked}"
        return "reference" if _role(row) == "reference" else "no rank"


def standings(site: Site) -> list[Standing]:
    """Returns the boards that hold a row of the reader's; all of them, without rows, where none does."""
    found = [Standing.of(board, site.new) for board in site.rankings]
    # Reference rows stand on a board for the others' sake.
    ranked = [board for board in found if any(_role(row) != "reference" for row in board.own)]
    return ranked or [board for board in found if board.own] or found


def print_digest(console: Console, site: Site) -> None:
    """Prints where the reader's rows stand and where the page is, in 25 lines at most."""
    boards = standings(site)
    own = any(board.own for board in boards)
    width = console.width
    # The tracks of a task say the same.
    notes = list(dict.fromkeys(note for board in boards if board.own for note in board.notes))[:_MOST_NOTES]
    shown = _shown(boards, MOST_LINES - _FRAME - sum(len(Text(note).wrap(console, width)) for note in notes))
    console.print(
        _line("Your rows", _COLUMNS, width, "bold")
        if own
        else Text("The best of each board; none has a row of yours", "bold")
    )
    for board, rows in zip(boards, shown, strict=False):
        console.print(_line(board.title, _best(board, width - len(board.title) - 2), width, "bold" if own else ""))
        for row in rows:
            console.print(_row_line(board, row, width))
    left_out = sum(len(board.own) for board in boards) - sum(map(len, shown))
    more = [_counted(left_out, "row of yours", "rows of yours")] if left_out else []
    more += [_counted(len(boards) - len(shown), "board", "boards")] if len(boards) > len(shown) else []
    if more:
        console.print(_line(f"{' and '.join(more)} more: on the page, or with --full.", "", width, "dim"))
    for note in notes:
        say(console, note)
    console.print()
    console.print(f"The board is at {site.page}", markup=False)


def digest_data(site: Site) -> dict[str, Any]:
    """Returns the same as plain data, without a limit."""
    return {
        "page": str(site.page),
        "boards": [
            {
                "title": board.title,
                "ranked": board.ranked,
                "best": None if board.best is None else _row_data(board.best),
                "own": [_row_data(row) for row in board.own],
                "notes": board.notes,
            }
            for board in standings(site)
        ],
        "problems": site.problems,
        "notes": site.notes,
    }


def _row_data(row: Row) -> dict[str, Any]:
    low, high = (row.interval.low, row.interval.high) if row.interval else (None, None)
    failed = sum(record.status is not Status.OK for record in row.records)
    return {
        "row": row.name,
        "role": _role(row),
        "rank": row.rank,
        "last_rank": row.last_rank,
        "score": row.score,
        "ci_low": low,
        "ci_high": high,
        "runs": len(row.records),
        "failed_runs": failed,
        "requests": row.requests,
        "requests_lacking": row.lacking,
    }


def _shown(boards: list[Standing], room: int) -> list[list[Row]]:
    """The rows that there is room for, board by board: one of each first, then methods before cheats and references."""
    shown: list[list[Row]] = []
    for board in boards:
        needed = 1 + min(1, len(board.own))
        if needed > room:
            break
        room -= needed
        shown.append(board.own[:1])
    further = [(index, row) for index, board in enumerate(boards[: len(shown)]) for row in board.own[1:]]
    for index, row in sorted(further, key=lambda pair: _order(pair[1]))[:room]:
        shown[index].append(row)
    return shown


def _order(row: Row) -> tuple[int, float, float]:
    """Methods first, by rank and score."""
    roles = ("method", "cheat", "reference")
    role = _role(row)
    return roles.index(role) if role in roles else 0, row.rank or float("inf"), -(row.score or 0.0)


def _role(row: Row) -> str:
    return row.records[0].method.role


def _best(board: Standing, width: int) -> str:
    """The best row and its score; settings that do not fit are cut."""
    if board.best is None:
        return ""
    score = number(board.best.score)
    room = width - len(f"best:  {score}")
    # A name of which next to nothing is left tells nothing.
    return f"best: {_cut(board.best.name, room)} {score}" if room > _LEAST else f"best: {score}"


def _row_line(board: Standing, row: Row, width: int) -> Text:
    failed = sum(record.status is not Status.OK for record in row.records)
    beside = f"  {row.share_of_requests} requests" if row.lacking else ""
    beside += f"  {failed} of {len(row.records)} runs failed" if failed else ""
    numbers = f"{number(row.score):>5}  {from_to(row.interval):>9}  {board.place(row):>{_RANK}}{beside}"
    style = "green" if row.rank == 1 else "red" if failed else ""
    return _line(f"  {row.name}", numbers, width, style)


def _line(left: str, right: str, width: int, style: str) -> Text:
    """A line with something at either end; what does not fit of the left is cut, and of the right if it must be."""
    right = _cut(right, max(0, width - 12))
    left = _cut(left, max(0, width - len(right) - 2) if right else width)
    return Text(f"{left}{' ' * (width - len(left) - len(right))}{right}" if right else left, style, no_wrap=True)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"

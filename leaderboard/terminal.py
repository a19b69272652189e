"""The ranking as a table on the terminal."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..benchmark.commands.consoles import say
from ..benchmark.commands.terminal import GAP
from .columns import Column, Where, columns_of
from .ranking import Ranking
from .site.build import Site

_SPARED = ("runs", "unlearn_seconds", "retraining")
"""What is left out next where a terminal has room for nothing that was measured."""


def print_ranking(console: Console, site: Site) -> None:
    """Prints the ranked tables of the boards with something new, or of all; of two judges they show the less favourable one.

    Where there is no room for all that was measured, the last of it is left out: names and numbers stay whole.
    """
    news = [board for board in site.rankings if any(r.run_id in site.new for row in board.rows for r in row.records)]
    for ranking in news or site.rankings:
        say(console, f"{ranking.title} · {ranking.device}", style="bold")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        columns = _fitting(ranking, console.width)
        for column in columns:
            justify: Literal["left", "right"] = "left" if column.names or column.prose else "right"
            table.add_column(
                escape(column.title),
                no_wrap=not column.names,
                overflow="fold",
                justify=justify,
                min_width=_width(column, ranking),
            )
        for row in ranking.rows:
            table.add_row(*(escape(column.text(row)) for column in columns))
        console.print(table)
        for note in [*([ranking.note] if ranking.note else []), *ranking.notes]:
            say(console, note)
        if ranking.ties:
            say(console, f"Why rows that are far apart share a rank ({len(ranking.ties)} of them) is on the page.")
    if news and len(news) < len(site.rankings):
        console.print(f"{len(site.rankings) - len(news)} more boards, with none of these runs, are on the page.")


def _fitting(ranking: Ranking, width: int) -> list[Column]:
    """The columns of a board that a terminal has room for."""
    columns = columns_of(ranking, Where.TERMINAL)
    measured = {quantity.name for quantity in ranking.track.columns}
    spared = [column for key in _SPARED for column in columns if column.key == key]
    for column in [*reversed([column for column in columns if column.key in measured]), *spared]:
        if sum(_width(one, ranking) + GAP for one in columns) <= width:
            break
        columns.remove(column)
    return columns


def _width(column: Column, ranking: Ranking) -> int:
    """What a column needs at least: long settings wrap behind a method's name."""
    texts = (row.method if column.names else column.text(row) for row in ranking.rows)
    return max(map(len, (column.title, *texts)))

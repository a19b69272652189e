"""The ranking as a table on the terminal."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .columns import Where, columns_of
from .site.build import Site


def print_ranking(console: Console, site: Site) -> None:
    """Prints every board's ranked table; of two judges it shows the less favourable one."""
    for ranking in site.rankings:
        table = Table(
            title=escape(f"{ranking.title} · {ranking.device}"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        columns = columns_of(ranking, Where.TERMINAL)
        for column in columns:
            # Long settings wrap; names and numbers stay whole.
            width = max(len(row.method) for row in ranking.rows) if column.names else None
            justify: Literal["left", "right"] = "left" if column.names else "right"
            table.add_column(
                escape(column.title), no_wrap=not column.names, overflow="fold", justify=justify, min_width=width
            )
        for row in ranking.rows:
            table.add_row(*(escape(column.text(row)) for column in columns))
        console.print(table)
        if ranking.note:
            console.print(ranking.note, markup=False)

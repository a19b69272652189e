"""The ranking as a table on the terminal."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..benchmark.family import Quantity
from .site.build import Board
from .text import number, seconds


def print_ranking(console: Console, board: Board) -> None:
    """Prints every board's ranked table; of two judges it shows the less favourable one."""
    for ranking in board.rankings:
        table = Table(
            title=escape(f"{ranking.title} · {ranking.device}"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        shown = [column for column in ranking.rules.columns if column.short]
        for heading in ("rank", "method", "score", "95 %", "seeds", *(column.short for column in shown), "time"):
            # Long settings wrap; names and numbers stay whole.
            named = heading == "method"
            width = max(len(row.method) for row in ranking.rows) if named else None
            justify: Literal["left", "right"] = "left" if named else "right"
            table.add_column(heading, no_wrap=not named, overflow="fold", justify=justify, min_width=width)
        for row in ranking.rows:
            table.add_row(
                str(row.rank or ("ref" if row.role == "reference" else "–")),
                escape(row.name),
                number(row.score),
                "–" if row.interval is None else f"{row.interval.low:.2f}–{row.interval.high:.2f}",
                f"{len(row.runs)}+{len(row.failures)}!" if row.failures else str(len(row.runs)),
                *(number(_worse(column, row.metric(column.name))) for column in shown),
                seconds(row.unlearn_seconds),
            )
        console.print(table)
        if ranking.note:
            console.print(ranking.note, markup=False)


def _worse(column: Quantity, values: list[float]) -> float | None:
    return {"max": max, "min": min}[column.less_favourable](values) if values else None

"""The ranking as a table on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .site import Board, number, seconds


def print_ranking(console: Console, board: Board) -> None:
    """Prints every board's ranked table; of two judges it shows the less favourable one."""
    for ranking in board.rankings:
        table = Table(
            title=escape(f"{ranking.task} · {ranking.device}"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for heading in ("rank", "method", "score", "95 %", "seeds", "forget", "retain", "FID", "time"):
            table.add_column(heading, no_wrap=True, justify="left" if heading == "method" else "right")
        for row in ranking.rows:
            table.add_row(
                str(row.rank) if row.rank else row.role[:3],
                escape(row.name),
                number(row.score),
                "–" if row.interval is None else f"{row.interval.low:.2f}–{row.interval.high:.2f}",
                f"{len(row.runs)}+{len(row.failures)}!" if row.failures else str(len(row.runs)),
                number(max(row.metric("forget_accuracy"), default=None)),
                number(min(row.metric("retain_accuracy"), default=None)),
                number(max(row.metric("fid_retain"), default=None), 2),
                seconds(row.unlearn_seconds),
            )
        console.print(table)
        if ranking.note:
            console.print(ranking.note, markup=False)

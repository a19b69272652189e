"""The committed results as Markdown: ``python -m unlearnbench.docs.make.results`` writes ``docs/results.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from ...benchmark.records.store import load_records
from ...leaderboard.columns import Column, Where, columns_of
from ...leaderboard.markdown import markdown_table
from ...leaderboard.ranking import Ranking, Row, rank_all

RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"


_INTRODUCTION = """# Results of the committed records

Made by `make results` from `leaderboard/results/`; nothing here is typed by hand. Two values: one a judge. Means over the
seeds; time is the median, memory the largest. What the columns mean is in [protocol.md](protocol.md).
"""


def results_text(folder: Path = RESULTS) -> str:
    """Returns the committed results as Markdown."""
    boards = rank_all(load_records([folder]).records)
    return "\n".join([_INTRODUCTION, *(_table(board) for board in boards)])


def _table(board: Ranking) -> str:
    columns = columns_of(board, Where.PAGE)
    lines = [
        f"## `{board.task}`{board.title.removeprefix(board.task)}",
        "",
        f"{board.device}, {board.seeds} seeds, task `{board.task_sha256[:10]}`.",
        "",
        markdown_table(
            [column.title for column in columns], ([_cell(column, row) for column in columns] for row in board.rows)
        ),
        "",
    ]
    return "\n".join(lines)


def _cell(column: Column, row: Row) -> str:
    return f"`{column.text(row)}`" if column.names else column.text(row)


if __name__ == "__main__":
    sys.stdout.write(results_text())

"""The committed results as Markdown: ``python -m unlearnbench.docs.make.results`` writes ``docs/results.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from ...benchmark.records.store import load_records
from ...leaderboard.columns import Column, Where, columns_of
from ...leaderboard.markdown import markdown_table, plain
from ...leaderboard.ranking import Ranking, rank_all
from ...leaderboard.row import Row

RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"


_INTRODUCTION = """# Results of the committed records

Made by `make results` from `leaderboard/results/`; nothing here is typed by hand. Two values: one a judge. Means over
requests and seeds; time is the median, memory the largest. What the columns mean is in [protocol.md](protocol.md).
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
        f"{'; '.join(filter(None, board.requests)) or 'one request'}; {board.extent}; {_devices(board)}; task "
        f"`{board.task_sha256[:10]}`.",
        "",
        *(line for note in [*([board.note] if board.note else []), *board.notes] for line in (f"> {plain(note)}", "")),
        markdown_table(
            [column.title for column in columns], ([_cell(column, row) for column in columns] for row in board.rows)
        ),
        "",
        *_ties(board),
    ]
    return "\n".join(lines)


def _devices(board: Ranking) -> str:
    return board.device if len(board.devices) == 1 else f"{len(board.devices)} devices"


def _ties(board: Ranking) -> list[str]:
    if not board.ties:
        return []
    head = f"<details><summary>Why rows that are far apart share a rank ({len(board.ties)})</summary>"
    return [head, "", *(f"- {plain(sentence)}" for sentence in board.ties), "", "</details>", ""]


def _cell(column: Column, row: Row) -> str:
    return f"`{column.text(row)}`" if column.names else column.text(row)


if __name__ == "__main__":
    sys.stdout.write(results_text())

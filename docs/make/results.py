"""The committed results as Markdown: ``python -m unlearnbench.docs.make.results`` writes ``docs/results.md``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...benchmark.records.store import load_records
from ...leaderboard.ranking import Ranking, Row, rank_all
from ...leaderboard.text import byte_size, number, seconds

RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"


class Column(NamedTuple):
    """A column of the table."""

    title: str
    cell: Callable[[Row], str]


def _judges(metric: str) -> Callable[[Row], str]:
    return lambda row: " / ".join(number(value, 1 if value >= 10 else 3) for value in row.metric(metric)) or "–"


def _interval(row: Row) -> str:
    return "–" if row.interval is None else f"{row.interval.low:.2f} to {row.interval.high:.2f}"


def _costs(field: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        values = [getattr(run.record.cost, field) for run in row.runs if run.record.cost is not None]
        return f"{max(values):,}" if values else "–"

    return cell


def _columns(board: Ranking) -> list[Column]:
    judged = [Column(column.title, _judges(column.name)) for column in board.rules.columns]
    return [
        Column("rank", lambda row: str(row.rank) if row.rank else row.role),
        Column("method", lambda row: f"`{row.method}`" + (f" {row.config}" if row.config else "")),
        Column("score", lambda row: number(row.score)),
        Column("95 %", _interval),
        *judged,
        Column("steps", _costs("steps")),
        Column("forwards", _costs("forward_passes")),
        Column("backwards", _costs("backward_passes")),
        Column("time", lambda row: seconds(row.unlearn_seconds)),
        Column("memory", lambda row: byte_size(row.peak_bytes)),
        Column("gates failed", lambda row: "; ".join(gate.split()[0] for gate in row.failed_gates) or "–"),
    ]


_INTRODUCTION = """# Results of the committed records

Made by `make results` from `leaderboard/results/`; nothing here is typed by hand. Two values: one a judge. Means over the
seeds; time is the median, memory the largest. What the columns mean is in [protocol.md](protocol.md).
"""


def results_text(folder: Path = RESULTS) -> str:
    """Returns the committed results as Markdown."""
    boards = rank_all(load_records([folder]).records)
    return "\n".join([_INTRODUCTION, *(_table(board) for board in boards)])


def _table(board: Ranking) -> str:
    columns = _columns(board)
    lines = [
        f"## `{board.task}`{board.title.removeprefix(board.task)}",
        "",
        f"{board.device}, {board.seeds} seeds, task `{board.task_sha256[:10]}`.",
        "",
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(column.cell(row) for column in columns) + " |" for row in board.rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(results_text())

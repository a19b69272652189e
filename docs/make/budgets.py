"""Scores after 50, 200 and 1,000 steps: ``python -m unlearnbench.docs.make.budgets RECORDS``.

SFRon's paper (arXiv 2409.19732) reports 50 steps. The suite ``budgets`` gives it and tuned rivals each of three budgets;
this program scores its records beside the committed originals and oracles. They stand on no board, where every row is
compared with every other. ``docs/budgets.json`` holds the numbers, and ``docs/budgets.md`` is rendered from that file.

Example::

    unlearnbench suite budgets --results kept
    python -m unlearnbench.docs.make.budgets kept
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

from ...benchmark.records.files import write_atomically
from ...benchmark.records.store import load_records
from ...leaderboard.boards import case_of
from ...leaderboard.markdown import markdown_table
from ...leaderboard.ranking import rank_all
from ...leaderboard.row import Row

NUMBERS = Path(__file__).parents[1] / "budgets.json"
PAGE = NUMBERS.with_suffix(".md")
RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"
TRACK = "forgetting"

INTRODUCTION = """\
# Step budgets

Written by `python -m unlearnbench.docs.make.budgets` from the runs of `unlearnbench suite budgets`; the numbers are in
[budgets.json](budgets.json).

SFRon's paper reports 50 steps. Here it and tuned rivals take 50, 200 and 1,000 steps each, with the other settings that their
searches found among at most 150 steps. Scores of the first track, each digit once and their mean with
Student's 95 % interval over the three digits; utility is what the gates leave of it, and the work a share of retraining's.
"""


class Budget(TypedDict):
    """What a method reached in some steps."""

    method: str
    steps: int
    settings: dict[str, Any]
    """All that was set, ``steps`` among it."""
    scores: dict[str, float]
    """By request."""
    score: float
    low: float
    high: float
    utility: float
    share: float
    """Passes through the network as a share of retraining's."""


Found = dict[str, list[Budget]]
"""By task."""


def found_in(records: Path, results: Path = RESULTS) -> Found:
    """Returns what the runs of the suite reached.

    Args:
        records: A folder with the records of ``unlearnbench suite budgets``.
        results: A folder with those of the originals and oracles.
    """
    made = load_records([records]).records
    anchors = [one for one in load_records([results]).records if one.method.name in ("original", "oracle")]
    boards = [board for board in rank_all([*anchors, *made]) if board.title.endswith(f" · {TRACK}")]
    found = {board.task: [_budget(row) for row in board.rows if row.role == "method"] for board in boards}
    return {task: sorted(rows, key=lambda row: (row["method"], row["steps"])) for task, rows in found.items() if rows}


def _budget(row: Row) -> Budget:
    first, utility = row.runs[0].record, row.component("utility")
    # A method's row with three finished runs has all of them.
    assert row.score is not None
    assert row.interval is not None
    assert row.retraining is not None
    assert first.cost is not None
    assert utility is not None
    return Budget(
        method=row.method,
        steps=first.cost.steps,
        settings=first.method.config_passed,
        scores={case_of(run.record).request: run.score for run in row.runs},
        score=row.score,
        low=row.interval.low,
        high=row.interval.high,
        utility=utility,
        share=row.retraining.value,
    )


def render(found: Found) -> str:
    """Returns the page."""
    parts = [INTRODUCTION]
    for task, rows in found.items():
        requests = sorted(rows[0]["scores"])
        digits = (f"the {request.rpartition('=')[2]}" for request in requests)
        titles = ["method", "steps", "score", "95 %", *digits, "utility", "work"]
        parts.append(f"## `{task}`\n\n{markdown_table(titles, (_line(row, requests) for row in rows))}\n")
    return "\n".join(parts)


def _line(row: Budget, requests: list[str]) -> list[str]:
    interval = f"{row['low']:.2f}–{row['high']:.2f}"
    numbers = [f"{value:.2f}" for value in (*(row["scores"][request] for request in requests), row["utility"])]
    return [
        f"`{row['method']}`",
        f"{row['steps']:,}",
        f"{row['score']:.2f}",
        interval,
        *numbers,
        f"{100 * row['share']:.0f} %",
    ]


def main(folder: str) -> None:
    """Writes the numbers and their page anew."""
    found = found_in(Path(folder))
    write_atomically(NUMBERS, json.dumps(found, indent=1).encode() + b"\n")
    write_atomically(PAGE, render(found).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
